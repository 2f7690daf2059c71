from __future__ import annotations

from sandboxes.core.states import *
from sandboxes.core.vocabulary import *
