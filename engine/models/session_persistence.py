"""Session persistence, as rules of HTTPRoutes and GRPCRoutes ask for it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from engine.models.base import Model
from engine.models.rules import Rule, Ruled
from engine.models.texts import FRAMING, Duration, is_token


class CookieConfig(Model):
    """CookieConfig."""

    lifetime_type: Literal["Permanent", "Session"] = "Session"


class SessionPersistence(Ruled):
    """SessionPersistence."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.cookieConfig) || !has(self.cookieConfig.lifetimeType) || "
            "self.cookieConfig.lifetimeType != 'Permanent' || has(self.absoluteTimeout)",
            "AbsoluteTimeout must be specified when cookie lifetimeType is Permanent",
            lambda self: (
                self.cookie_config is None
                or self.cookie_config.lifetime_type != "Permanent"
                or self.absolute_timeout is not None
            ),
        ),
        Rule(
            "!has(self.cookieConfig) || self.type == 'Cookie'",
            "cookieConfig can only be set with type Cookie",
            lambda self: self.cookie_config is None or self.type == "Cookie",
        ),
    )

    session_name: Annotated[str, Field(max_length=128)] | None = None
    absolute_timeout: Duration | None = None
    type: Literal["Cookie", "Header"] = "Cookie"
    cookie_config: CookieConfig | None = None

    def beyond(self) -> tuple[tuple[str, str], ...]:
        """Envoy takes only a name that can stand in a header."""
        if self.session_name and not is_token(self.session_name):
            return (("sessionName", f"{self.session_name!r} can be no name of a header or cookie"),)
        if self.type == "Header" and (self.session_name or "").lower() in FRAMING:
            return (("sessionName", f"{self.session_name} belongs to Envoy, which frames the message: name another"),)
        return ()
