"""A message in a chat when a route of a namespace changes: python alert.py BROKERS NAMESPACE WEBHOOK TOKEN_FILE

The message is JSON as Slack's incoming webhooks take it. At least once: killed between the message and the note of it,
it sends that one again, with the same Idempotency-Key, by which a receiver knows it. What the receiver refuses for good
(4xx, but for 408 and 429) is given up, and told on standard error.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import aiohttp

from streams.client import Update, Where, sentences, updates, updates_now

_AGAIN_SECONDS = 1.0
_CHARACTERS = 4_000
"""What chats show of a message; Slack takes ten times as many, and refuses more."""
_LATER = {408, 429}


def message(update: Update, namespace: str) -> str:
    """What became of the namespace's routes; "" for nothing that requests notice."""
    where = Where(namespace, kind="route")
    told = [word for change in update.routing if where.touches(change) for word in sentences(change)]
    who = update.actor or update.source
    return "\n".join([f"{namespace}: changed by {who} (offset {update.offset}, {update.time})", *told]) if told else ""


def note(path: Path, token: str) -> None:
    hidden = path.with_name(f".{path.name}")
    with hidden.open("w") as file:
        file.write(token)
        file.flush()
        os.fsync(file.fileno())
    hidden.replace(path)


def cut(text: str) -> str:
    """As many whole lines as a chat takes."""
    if len(text) <= _CHARACTERS:
        return text
    kept = text[: _CHARACTERS - 50]
    kept = kept.rpartition("\n")[0] or kept
    left = text[len(kept) :].removeprefix("\n").count("\n") + 1
    return f"{kept}\n... and {left} more lines"


async def send(session: aiohttp.ClientSession, webhook: str, text: str, key: str) -> None:
    """Until it is taken, or refused for good: what comes behind it is not held up by it."""
    while True:
        try:
            async with session.post(webhook, json={"text": cut(text)}, headers={"idempotency-key": key}) as answer:
                if answer.ok:
                    return
                if 400 <= answer.status < 500 and answer.status not in _LATER:
                    told = (await answer.text(errors="replace"))[:300]
                    print(f"given up {key}: the webhook answers {answer.status} {told}", file=sys.stderr, flush=True)
                    return
        except (aiohttp.ClientError, TimeoutError):
            pass
        await asyncio.sleep(_AGAIN_SECONDS)


async def main(brokers: str, namespace: str, webhook: str, path: Path) -> None:
    if not path.exists():
        # Noted before anything comes: killed before the first update, it begins at this now and no later one.
        note(path, await updates_now(brokers))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session:
        async for event in updates(brokers, path.read_text()):
            if text := message(event.value, namespace):
                await send(session, webhook, text, f"penstock-{event.token}")
            note(path, event.token)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], Path(sys.argv[4])))
