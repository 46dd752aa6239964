
# Behind clap's own: a DOMAIN is a domain. Their names, asked of domstate itself.
function __fish_domstate_domains
    domstate list --all --name 2>/dev/null
end
complete -c domstate -n "__fish_domstate_needs_command" -f -a "(__fish_domstate_domains)" -d Domain
complete -c domstate -n "__fish_domstate_using_subcommand @VERBS@" -f -a "(__fish_domstate_domains)" -d Domain
complete -c domstate -n "__fish_domstate_using_subcommand @VERBS@" -l domain -r -f -a "(__fish_domstate_domains)" -d Domain
