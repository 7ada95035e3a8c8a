"""Print what makes the Tab key complete keys, choices and commands in a shell."""

from argparse import Namespace

from runner.commands.words import Parser

# Each shell asks for the words that can stand at the end of the line up to the cursor.
BASH = r"""_runner() {
    local line=${COMP_LINE:0:COMP_POINT} word prefix=
    local last=${line##*[[:space:]]}
    # The shell takes what follows a = for a word of its own.
    [[ $COMP_WORDBREAKS == *=* ]] && prefix=${last%"${last##*=}"}
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("${word#"$prefix"}")
        [[ $word == *[=./] ]] && compopt -o nospace
    done < <("$1" completion bash "$line" 2>/dev/null)
}
complete -o default -F _runner runner
"""
ZSH = r"""#compdef runner
_runner() {
    local -a found=("${(@f)$("$words[1]" completion zsh "${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
    local -a open=(${(M)found:#*[=./]}) whole=(${found:#*[=./]})
    (( $#open + $#whole )) || { compset -P '*='; _files; return }
    compadd -S '' -- $open
    compadd -- $whole
}
compdef _runner runner
"""
FISH = r"""function __runner_words
    set -l tokens (commandline -opc)
    $tokens[1] completion fish (commandline -cp | string collect) 2>/dev/null
end
complete -c runner -a '(__runner_words)'
"""
SCRIPTS = {"bash": BASH, "fish": FISH, "zsh": ZSH}
WHERE = """\
where it belongs:
  bash   eval "$(runner completion bash)" in ~/.bashrc
  zsh    eval "$(runner completion zsh)" in ~/.zshrc, after compinit
  fish   runner completion fish | source in ~/.config/fish/config.fish
"""


def parser() -> Parser:
    """Return what reads its words."""
    parser = Parser(prog="runner completion", description=__doc__, epilog=WHERE)
    parser.add_argument("shell", choices=SCRIPTS)
    parser.add_argument("line", nargs="?", help="what is typed: print what can follow")
    return parser


def do(options: Namespace) -> int:
    """Print the script, or what it asks for."""
    if options.line is None:
        print(SCRIPTS[options.shell], end="")
        return 0

    from runner.completion import candidates

    print(*candidates(options.line), sep="\n")
    return 0
