"""The story of an agent as text, with the remedy last. Pure."""

from collections.abc import Sequence

from kubectl_purpleflea.decisions.story import Story
from kubectl_purpleflea.views.text import Line, Style, line, styled


def story_lines(story: Story) -> list[Line]:
    """Return the lines of a story."""
    found = [line(styled(story.headline, _color(story)))]
    for item in story.problems:
        found.append(
            line("  ", styled(f"{item.condition}/{item.reason}", "bold"), f": {item.message}")
        )
        if item.link:
            found.append(line("    see: ", styled(item.link, "dim")))
    found += _section(
        "pods:", [f"{pod.name} {pod.state} {pod.message}".rstrip() for pod in story.pods]
    )
    found += _section("nodes:", story.nodes)
    found += _section("warnings:", story.events)
    found += _section("last errors in the logs:", story.logs)
    if story.unread:
        missing = ", ".join(story.unread)
        content = (
            f"  not read: {missing}; see the rights that are missing: kubectl purpleflea doctor"
        )
        found.append(line(styled(content, "yellow")))
    if story.remedies:
        found.append(line(styled("what to do:", "bold")))
        found += [
            line(f"  {number}. {item}") for number, item in enumerate(story.remedies, start=1)
        ]
    return found


def _color(story: Story) -> Style:
    if not story.is_healthy:
        return "red"
    return "yellow" if story.unread else "green"


def _section(title: str, entries: Sequence[str]) -> list[Line]:
    return [line(title), *(line(f"  {entry}") for entry in entries)] if entries else []
