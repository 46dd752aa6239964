
# Behind clap's own: a DOMAIN is a domain, and what follows -- is a command line.

# The names of all domains, asked of domstate itself.
_domstate_domains() {
    local folder=() i
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == --state-dir ]]; then
            # bash takes --state-dir=DIR for three words.
            [[ ${COMP_WORDS[i + 1]} == = ]] && ((i++))
            folder=(--state-dir "${COMP_WORDS[i + 1]}")
        fi
    done
    "${COMP_WORDS[0]}" "${folder[@]}" list --all --name 2>/dev/null
}

_domstate_with_domains() {
    local cur=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} i word words=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${COMP_WORDS[i]} == -- ]] || continue
        if declare -F _command_offset >/dev/null; then
            _command_offset $((i + 1))
        elif ((COMP_CWORD == i + 1)); then
            mapfile -t COMPREPLY < <(compgen -c -- "$cur")
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        fi
        return
    done
    if [[ $previous == --domain ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_domstate_domains)" -- "$cur")
        return
    fi
    _domstate "$@"
    case $previous in
        @VALUED@ | =) return ;;
    esac
    [[ $cur == -* ]] && return
    # Neither options that nobody has begun to type, nor the names of arguments.
    for word in "${COMPREPLY[@]}"; do
        [[ $word == [-[\<]* || $word == ...* ]] || words+=("$word")
    done
    COMPREPLY=("${words[@]}")
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            @NO_DOMAIN@) return ;;
        esac
    done
    mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$(_domstate_domains)" -- "$cur")
}

complete -F _domstate_with_domains -o nosort -o bashdefault domstate
