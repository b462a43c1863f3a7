"""Where and how to reach a dialect: data, not code.

A server of your own that speaks Chat Completions is one call of :func:`register_service`; a place
that speaks another protocol, or has a way of its own, is one :class:`Provider`, made known with
:func:`register_provider`.
"""

from dhenara_stream.dialects.openai_chat import Quirks

from .auth import bearer, header_key
from .base import Provider, Route
from .registry import PROVIDERS, SERVICES, register_provider, register_service

__all__ = [
    "PROVIDERS",
    "SERVICES",
    "Provider",
    "Quirks",
    "Route",
    "bearer",
    "header_key",
    "register_provider",
    "register_service",
]
