"""`edusense completion`: the few lines that teach a shell to complete our commands."""

from __future__ import annotations

import click

__all__ = ["command"]

WHERE = {
    "bash": "~/.local/share/bash-completion/completions/edusense",
    "zsh": "a file `_edusense` in a folder of $fpath",
    "fish": "~/.config/fish/completions/edusense.fish",
}


@click.command()
@click.argument("shell", metavar="SHELL", type=click.Choice(list(WHERE)))
def command(shell: str) -> None:
    """Print the script that completes commands and options in a shell.

    SHELL is bash, zsh or fish.

    \b
    Examples:
      source <(edusense completion bash)      # in this shell
      edusense completion bash > ~/.local/share/bash-completion/completions/edusense
      edusense completion fish > ~/.config/fish/completions/edusense.fish
    """
    from click.shell_completion import get_completion_class

    from edusense.cli.group import edusense

    found = get_completion_class(shell)
    assert found is not None  # click brings these three
    # The template is filled here, not by `.source()`: that starts a bash to ask for its version.
    completer = found(edusense, {}, "edusense", "_EDUSENSE_COMPLETE")
    click.echo(completer.source_template % completer.source_vars())
