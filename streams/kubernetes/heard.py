"""A cluster that is listened to: what it does not answer, so that somebody can be told; by itself it asks nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress

from streams.kubernetes.cluster import Away, Cluster, ClusterError, Event, Forbidden, Page, Served, Target


class Heard:
    """Hands every call on to the cluster; see `Cluster`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._failing: dict[Target | None, ClusterError] = {}
        """Until it answers again; None stands for what is served. Of single objects nothing: they come and go."""

    @property
    def trouble(self) -> ClusterError | None:
        """That it cannot be reached, else that it refuses something; None when it answers all that it was asked."""
        return min(self._failing.values(), key=lambda error: (not isinstance(error, Away), str(error)), default=None)

    async def again(self) -> None:
        """Ask once more for what was not answered: a watch that was taken up again says nothing for a minute."""
        for target in tuple(self._failing):
            with suppress(ClusterError):
                await (self.served() if target is None else self.page(target, "", 1))
            if isinstance(self._failing.get(target), Away):
                return

    async def page(self, target: Target, token: str, limit: int) -> Page:
        """See `Cluster.page`."""
        with self._hearing(target):
            return await self._cluster.page(target, token, limit)

    async def watch(self, target: Target, version: str) -> AsyncIterator[Event]:
        """See `Cluster.watch`."""
        try:
            async for event in self._cluster.watch(target, version):
                self._failing.pop(target, None)
                yield event
        except (Away, Forbidden) as error:
            self._fails(target, error)
            raise

    async def served(self) -> frozenset[Served]:
        """See `Cluster.served`."""
        with self._hearing(None):
            return await self._cluster.served()

    @contextmanager
    def _hearing(self, target: Target | None) -> Iterator[None]:
        """What else the cluster says, such as that there is no such kind, is an answer."""
        try:
            yield
        except (Away, Forbidden) as error:
            self._fails(target, error)
            raise
        except ClusterError:
            self._failing.pop(target, None)
            raise
        self._failing.pop(target, None)

    def _fails(self, target: Target | None, error: ClusterError) -> None:
        if target is None or not (target.name or target.labels):
            self._failing[target] = error
