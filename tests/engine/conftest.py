"""What the tests of the engine share."""

import pytest

from dhenara_stream.engine import transport


@pytest.fixture(params=["own", "httpx"])
def every_road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Over connections of the client's own, and over httpx's, as where a proxy needs them."""
    if request.param == "httpx":
        monkeypatch.setattr(transport, "_is_watched", lambda: True)
    return str(request.param)
