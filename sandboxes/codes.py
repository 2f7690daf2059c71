from __future__ import annotations

from sandboxes.core.codes import *
