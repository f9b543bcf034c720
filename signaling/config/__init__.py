"""The settings: one object, parsed once from a TOML file and the environment.

Every mistake is gathered before any is shown: :class:`ConfigError` carries them all.
"""

from __future__ import annotations

from signaling.config.environment import merge_environment, setting_paths, variable_names
from signaling.config.loading import SAMPLE, load, load_development
from signaling.config.mistakes import ConfigError, Mistake
from signaling.config.settings import Settings

__all__ = [
    "SAMPLE",
    "ConfigError",
    "Mistake",
    "Settings",
    "load",
    "load_development",
    "merge_environment",
    "setting_paths",
    "variable_names",
]
