"""Commands whose help shows options in sections."""

from __future__ import annotations

from typing import Final

import click

READ_NAMES: Final = (
    *("gray", "background", "frame", "as_values", "max_pixels", "max_input_bytes"),
)
BATCH_NAMES: Final = (
    *("recursive", "files_from", "jobs", "timeout", "fail_fast", "dry_run", "report"),
)
WRITE_NAMES: Final = (
    *("output", "format_name", "depth", "value_range", "shared_range", "colormap", "columns"),
    *("labels", "compress", "show", "overwrite", "skip_existing", "as_json", "verbose", "quiet"),
    "channels",
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
                sections[_section(option) or self.own_section].append(record)
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


def _section(option: click.Option) -> str | None:
    if option.name in READ_NAMES:
        return "Images in"
    if option.name in BATCH_NAMES:
        return "Many images"
    return "Results out" if option.is_eager or option.name in WRITE_NAMES else None
