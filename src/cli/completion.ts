/** The scripts of the shells: as short as can be, because all that is known is asked of the command itself. Pure. */

const BASH = `# bash completion of sluice: source <(sluice completion bash)
_sluice() {
  local value rest cur="\${COMP_WORDS[COMP_CWORD]}"
  COMPREPLY=()
  while IFS=$'\\t' read -r value rest; do
    if [[ $value == ':files' ]]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r rest; do COMPREPLY+=("$rest"); done < <(compgen -f -- "$cur")
    else
      COMPREPLY+=("$value")
    fi
  done < <(sluice __complete "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _sluice sluice
`;

const ZSH = `#compdef sluice
# zsh completion of sluice: sluice completion zsh > ~/.zfunc/_sluice, where ~/.zfunc is in fpath
_sluice() {
  local -a described
  local line files=0
  for line in "\${(@f)$(sluice __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == ':files' ]]; then
      files=1
    elif [[ -n $line ]]; then
      described+=("\${\${line%%$'\\t'*}//:/\\\\:}:\${line#*$'\\t'}")
    fi
  done
  (( files )) && _files
  (( $#described )) && _describe -V sluice described
}
if [[ $funcstack[1] == _sluice ]]; then
  _sluice "$@"
else
  compdef _sluice sluice
fi
`;

const FISH = `# fish completion of sluice: sluice completion fish > ~/.config/fish/completions/sluice.fish
function __sluice_complete
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    for line in (sluice __complete $before[2..-1] "$current" 2>/dev/null)
        if test "$line" = ':files'
            __fish_complete_path "$current"
        else
            echo $line
        end
    end
end
complete -c sluice -f -k -a '(__sluice_complete)'
`;

export const SHELLS = { bash: BASH, zsh: ZSH, fish: FISH } as const;

export const completionFor = (shell: string): string | null =>
  Object.hasOwn(SHELLS, shell) ? SHELLS[shell as keyof typeof SHELLS] : null;
