# Behind clap's own: the names of all domains, asked of domstate itself.
(( $+functions[_domstate_domains] )) ||
_domstate_domains() {
    local -a domains
    domains=(${(f)"$(domstate list --all --name 2>/dev/null)"})
    _describe -t domains 'domain' domains
}
