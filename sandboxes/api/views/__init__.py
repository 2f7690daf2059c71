"""Thin: validate, call one service, show."""

from __future__ import annotations
