"""How a service's drift looks on a terminal."""

from __future__ import annotations

from rich.text import Text

from pipelines.drift import PipelineState, ServiceDrift

_STYLES = {PipelineState.CLEAN: "green", PipelineState.TEMPLATE_NEWER: "yellow"}


def states_text(drift: ServiceDrift) -> Text:
    """The states of a service's pipeline, coloured by the gravest."""
    return Text(", ".join(drift.states), _STYLES.get(drift.state, "red"))
