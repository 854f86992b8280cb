"""Who may say what: change sets that nobody registered has signed for their cluster or source are refused.

A function of the log and the settings alone; without trusted keys nothing is looked at, and nothing is noted.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from engine.changes import verb
from engine.events import ChangeSet
from engine.fold import RESOURCE, SIGNED, Fold
from engine.judgement import judged, resource_of
from engine.models.cluster import GROUP
from engine.ref import Ref
from engine.resolve.cluster import KIND, is_name
from engine.resolve.settings import EngineSettings
from engine.signature import UNREADABLE
from engine.voices import ROOT, SAYS, VOICES, says

ANY_CLUSTER: Final = "cluster/*"
_CLUSTER: Final = "cluster/"
_NOBODYS: Final = "nobody's"
"""Stands for keys that are written so that no key can be read."""


class Signers:
    """The registry: trusted keys of the settings, and the keys that Cluster objects name."""

    def __init__(self, fold: Fold, settings: EngineSettings, version: str) -> None:
        """Models of another engine `version` are asked again of a Cluster object."""
        self._fold = fold
        self._version = version
        self._settings = settings
        self._trusted: dict[str, tuple[str, ...]] = {}
        for who, key in settings.trusted_keys:
            self._trusted[who] = (*self._trusted.get(who, ()), key)

    def fork(self, fold: Fold) -> Signers:
        """Those of a fork: what it is told stands in no log, so nobody has signed it, and nobody needs to."""
        return Signers(fold, replace(self._settings, trusted_keys=()), self._version)

    def refusal(self, said: ChangeSet) -> str:
        """Why a change set does not count, with the remedy; "" when it does."""
        if not self._trusted:
            return ""
        if self._settings.domain and said.domain != self._settings.domain:
            return f"it is of domain {_shown(said.domain)}, not of this one ({self._settings.domain}): copied?"
        if said.cluster and not is_name(said.cluster):
            return f"{_shown(said.cluster)} is no name for a cluster: use at most 63 of a-z, 0-9 and -"
        for change in said.changes:
            if not says(said.source, change):
                allowed = " or ".join(sorted(SAYS.get(type(change), ()))) or "a source of the cluster"
                return f"source {_shown(said.source)} cannot say {verb(change)}: only {allowed} can"
        return self._unsigned(said)

    def note(self, said: ChangeSet) -> str | None:
        """A change set counts: what its signer said until then is not said again. Answers the `signer`."""
        signer = self.signer(said)
        if said.signature is not None and signer:
            self._fold.set(row_of(said), {"sequence": said.signature.sequence})
        return signer

    def signer(self, said: ChangeSet) -> str | None:
        """The key that signed what counts; "" where nobody need sign it, and None where nobody looks at signatures."""
        if not self._trusted:
            return None
        return said.signature.key if said.signature is not None and self._keys(claim(said)) else ""

    def _unsigned(self, said: ChangeSet) -> str:
        name, signature = claim(said), said.signature
        keys = self._keys(name)
        whose = _whose(said)
        if not keys and name.startswith(_CLUSTER) and name != f"{_CLUSTER}{self._settings.configuration_cluster}":
            return ""  # Nobody is registered for it.
        if not keys:
            return f"{whose}: no key is registered for it: add {name}=KEY to PENSTOCK_TRUSTED_KEYS"
        if signature is None:
            return f"{whose}: not signed, but keys are registered for it: {_remedy(name)}"
        if signature == UNREADABLE:
            return f"{whose}: its signature cannot be read: {_remedy(name)}"
        if signature.key not in keys:
            return f"{whose}: signed with the key {signature.key}, which is not registered for it: {_remedy(name)}"
        last = self._fold.rows.get(row_of(said), {}).get("sequence", -1)
        if signature.sequence <= last:
            return (
                f"{whose}: a copy of what was said before, or its clock was put back ({signature.sequence} does not "
                f"come after {last}): start its writer again, which goes on from there"
            )
        if not signature.is_good():
            return f"{whose}: the signature does not fit the record, which was changed on its way or forged"
        return ""

    def _keys(self, name: str) -> tuple[str, ...]:
        """The keys that may sign for it; none when it need not be signed."""
        root = self._trusted.get(ROOT, ())
        if not name.startswith(_CLUSTER):
            return (*self._trusted.get(name, ()), *root)
        cluster = name.removeprefix(_CLUSTER)
        own = (*self._trusted.get(name, ()), *self._registered(cluster))
        if cluster and cluster == self._settings.configuration_cluster:
            return (*own, *root)  # It names everybody's keys: not anybody's may do that.
        own = own or self._trusted.get(ANY_CLUSTER, ())
        return (*own, *root) if own else ()

    def _registered(self, cluster: str) -> tuple[str, ...]:
        """`spec.publicKeys` of its Cluster object, as its source says it now: a rollback brings no old key back."""
        if not self._settings.configuration_cluster:
            return ()
        ref = Ref(self._settings.configuration_cluster, GROUP, KIND, "", cluster)
        row = self._fold.rows.get(f"{RESOURCE}{ref}")
        if row is None:
            return ()
        # Where no revision is good what is written counts: who names keys wants signatures.
        object_ = resource_of(judged(ref, row, self._version)).object or row["object"]
        spec = object_.get("spec")
        keys = spec.get("publicKeys", []) if isinstance(spec, dict) else []
        is_plain = isinstance(keys, list) and all(isinstance(one, str) for one in keys)
        return tuple(keys) if is_plain else (_NOBODYS,)


def claim(said: ChangeSet) -> str:
    """For what a change set has to be signed: its source, of the control plane's own, or its cluster."""
    return said.source if said.source in VOICES else f"{_CLUSTER}{said.cluster}"


def row_of(said: ChangeSet) -> str:
    """The row with the last sequence of its signer."""
    return f"{SIGNED}{claim(said)}/{said.signature.key if said.signature is not None else ''}"


def _whose(said: ChangeSet) -> str:
    of = f" of cluster {said.cluster}" if said.cluster else ""
    return f"it says to be of source {_shown(said.source)}{of}"


def _shown(text: str) -> str:
    return text[:100] if text[:100].isprintable() else repr(text[:100])


def _remedy(name: str) -> str:
    object_ = f" or publicKeys of Cluster {name.removeprefix(_CLUSTER)}" if name.startswith(_CLUSTER) else ""
    where = f"PENSTOCK_TRUSTED_KEYS{object_}"
    return f"sign it with a key of {where} (PENSTOCK_SIGNING_KEY), or, if nobody of yours wrote it, find out who did"
