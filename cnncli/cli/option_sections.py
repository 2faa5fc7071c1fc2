"""Commands whose help shows options in sections."""

from __future__ import annotations

from typing import Final

import click

_READ_NAMES: Final = (
    *("gray", "background", "frame", "as_values"),
    *("max_pixels", "max_memory", "max_input_bytes"),
)
_BATCH_NAMES: Final = (
    *("recursive", "files_from", "jobs", "timeout", "fail_fast", "dry_run", "report"),
    *("cluster", "cluster_timeout", "shared_files"),
)
_WRITE_NAMES: Final = (
    *("output", "format_name", "depth", "value_range", "shared_range", "colormap", "columns"),
    *("labels", "compress", "show", "overwrite", "skip_existing", "as_json", "verbose", "quiet"),
    *("channels", "cells", "fps", "most"),
)


class PictureCommand(click.Command):
    """A command whose help shows its options in sections: the layer, reading, writing."""

    own_section = "Layer"

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list of options for each section."""
        titles = (self.own_section, "Images in", "Many images", "Results out")
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in titles}
        for option in self.get_params(ctx):
            record = option.get_help_record(ctx)
            if record is not None and isinstance(option, click.Option):
                sections[section(option) or self.own_section].append(record)
        for title, records in sections.items():
            if not records:
                continue
            with formatter.section(title):
                formatter.write_dl(records)


class NetworkCommand(PictureCommand):
    """A command on the network of a file."""

    own_section = "Network"


class ExplainCommand(PictureCommand):
    """A command on one place of one layer."""

    own_section = "Layer and place"


def section(option: click.Option) -> str | None:
    """Return the section of an option that several commands have; None for a command's own."""
    if option.name in _READ_NAMES:
        return "Images in"
    if option.name in _BATCH_NAMES:
        return "Many images"
    return "Results out" if option.is_eager or option.name in _WRITE_NAMES else None
