"""The click group of all commands: imports each on use, and turns errors into a message, a hint and an exit status.

Whatever ends a command ends it here. With `--json` on the command line, errors too are one JSON object, on stderr.
"""

from __future__ import annotations

import errno
import importlib
import io
import json
import os
import select
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from edusense.cli.main import COMMANDS, help_text
from edusense.errors import EdusenseError, InternalError, PermissionDeniedError, UsageError
from edusense.nearest import nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["edusense", "run"]


class Commands(click.Group):
    """A group whose commands are imported only when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def get_help(self, ctx: click.Context) -> str:
        """The help from the table: the same text that `main` prints without click."""
        return help_text()

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so; from the table, since a person waits for each press of Tab."""
        from click.shell_completion import CompletionItem

        if incomplete.startswith("-"):
            return click.Command.shell_complete(self, ctx, incomplete)
        return [CompletionItem(name, help=line) for name, (_, line) in COMMANDS.items() if name.startswith(incomplete)]

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command; an error of ours becomes a message, a hint and an exit status."""
        try:
            return super().invoke(ctx)
        except EdusenseError as error:
            raise Failure(error) from error
        except BrokenPipeError:
            if _reader_has_gone():
                # `edusense events | head`: nobody reads our rows any more; not an error, and nothing more to say.
                _silence_stdout()
                raise click.exceptions.Exit(0) from None
            raise


class Failure(click.ClickException):
    """An error of ours on its way to the terminal."""

    def __init__(self, error: EdusenseError) -> None:
        super().__init__(str(error))
        self.error = error
        self.exit_code = error.exit_status  # type: ignore[misc] # click reads it from the instance

    def show(self, file: Any = None) -> None:
        """Prints the error and its hint to stderr; all of them where a file has several."""
        if _wants_json():
            click.echo(json.dumps(self.error.to_json(), ensure_ascii=False), err=True)
            return
        others: tuple[EdusenseError, ...] = getattr(self.error, "others", ())
        for error in (self.error, *others):
            tell(str(error), error.hint)
            if others:
                click.echo(err=True)
        if others:
            click.echo(f"{1 + len(others)} errors", err=True)


def tell(message: str, hint: str | None) -> None:
    """Prints `error: …` and `hint: …` to stderr, coloured where that is wanted."""
    colour = not os.environ.get("NO_COLOR") and sys.stderr.isatty()
    click.echo(f"{click.style('error', fg='red', bold=True) if colour else 'error'}: {message}", err=True)
    if hint:
        click.echo(f"\n{click.style('hint', fg='cyan') if colour else 'hint'}: {hint}", err=True)


def _wants_json() -> bool:
    words = sys.argv[1:]
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _reader_has_gone() -> bool:
    """Whether stdout is the broken pipe: a device's socket breaks with the same exception."""
    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), select.POLLOUT)
        return any(state & select.POLLERR for _, state in poll.poll(0))
    except (OSError, ValueError):
        return False


def _silence_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        from edusense._version import version

        click.echo(f"edusense {version()}")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version", is_flag=True, callback=_version, expose_value=False, is_eager=True, help="Print the version."
)
def edusense() -> None:
    """The cameras and canteen terminals of a school, on one small computer.

    \b
    Examples:
      edusense demo                        # a virtual school, a minute, a page
      edusense run --site school.toml      # the box
    """


def _usage(failure: click.UsageError) -> UsageError:
    """A wrong call in our words: what was wrong, what was meant, where help is."""
    context = failure.ctx
    path = "edusense" if context is None else context.command_path
    words = getattr(failure, "command_name", None) or getattr(failure, "cmd_name", None)
    if words is None and failure.message.startswith("No such command"):
        words = failure.message.partition("'")[2].rpartition("'")[0]
    if words is not None and context is not None and isinstance(context.command, click.Group):
        known = context.command.list_commands(context)
        guess = nearest(words, known)
        hint = f"perhaps `{path} {guess}`" if guess else f"{path} knows {', '.join(known)}"
        return UsageError(f"there is no command `{path} {words}`", hint=hint)
    message = " ".join(failure.format_message().split()).rstrip(".")
    if isinstance(failure, click.NoSuchOption):
        message = f"there is no option `{failure.option_name}`"
        options = [] if context is None else [name for part in context.command.params for name in part.opts]
        guess = nearest(failure.option_name, [name for name in options if name.startswith("--")])
        if guess:
            return UsageError(message, hint=f"perhaps `{guess}`; `{path} --help` shows them all")
    elif message[:1].isupper():
        message = message[0].lower() + message[1:]
    return UsageError(message, hint=f"`{path} --help` shows how it is called")


def run() -> NoReturn:
    """Runs the command line and leaves the process with its exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A file's name that is no Unicode, or a letter that this terminal does not know, must not end a command.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        status = edusense.main(prog_name="edusense", standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.exceptions.NoArgsIsHelpError as asked:
        asked.show()
        sys.exit(2)
    except click.UsageError as failure:
        Failure(_usage(failure)).show()
        sys.exit(2)
    except click.ClickException as failure:
        if not isinstance(failure, Failure):
            failure = Failure(UsageError(failure.format_message()))  # click's own: a file that cannot be opened
        failure.show()
        sys.exit(failure.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except BrokenPipeError:
        _silence_stdout()
        sys.exit(0)
    except Exception as bug:  # noqa: BLE001 - the last place: what comes here is a bug, and is told as one
        if isinstance(bug, OSError) and bug.errno in {errno.ENOSPC, errno.EDQUOT, errno.EIO}:
            _silence_stdout()
            full = PermissionDeniedError(
                f"the output could not be written: {bug.strerror}", hint="make room on that disk, or write to another"
            )
            Failure(full).show()
            sys.exit(full.exit_status)
        import traceback

        traceback.print_exc()
        error = InternalError(
            f"a bug in edusense: {type(bug).__name__}: {bug}", hint="please report it with the lines above"
        )
        Failure(error).show()
        sys.exit(error.exit_status)
    sys.exit(status if isinstance(status, int) else 0)
