"""Workers that do not print what the process that waits for them will raise."""

from __future__ import annotations

import logging
from typing import Any

from distributed import WorkerPlugin

_TOLD_ELSEWHERE = (
    "Compute Failed",
    "Async instruction for",
    "Failed to communicate with scheduler during heartbeat",
)
"""A task's error reaches who asked for it, and so does the loss of a scheduler; tasks dropped and
heartbeats missed when the cluster is left are no loss."""


class QuietWorkers(WorkerPlugin):
    """Keep the failures of tasks out of the log of local workers, which is the user's terminal."""

    name = "quiet-workers"

    def setup(self, worker: Any) -> None:
        """Filter the log of a worker that starts."""
        for name in ("distributed.worker", "distributed.worker.state_machine"):
            logging.getLogger(name).addFilter(_is_told_here)


def _is_told_here(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_TOLD_ELSEWHERE)
