# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_domstate_global_optspecs
    string join \n state-dir= q/quiet format= color= h/help V/version
end

function __fish_domstate_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_domstate_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_domstate_using_subcommand
    set -l cmd (__fish_domstate_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c domstate -n "__fish_domstate_needs_command" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_needs_command" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_needs_command" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_needs_command" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_needs_command" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_needs_command" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "state" -d 'Print the state of each domain (\'state\' may be left out)'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "list" -d 'List domains; without options, the active ones'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "explain" -d 'Show why a domain is in its state, with the evidence'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "history" -d 'List the last runs of a domain and how each ended'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "logs" -d 'Print what QEMU wrote'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "wait" -d 'Wait until each domain has ended, or meets a condition'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "run" -d 'Run QEMU in the foreground and tell how it ended'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "start" -d 'Start QEMU in the background'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "shutdown" -d 'Ask the guest to power itself off'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "reboot" -d 'Ask the guest to power itself off, and start it again when it has'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "destroy" -d 'End QEMU at once, as if the guest\'s power were cut'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "reset" -d 'Reset the guest, as its reset button would'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "suspend" -d 'Pause the guest'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "resume" -d 'Let a paused guest run on'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "save" -d 'Save the guest into a file and end it'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "restore" -d 'Take a guest up that \'save\' has saved'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "managedsave" -d 'Save the guest for its next start and end it'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "managedsave-remove" -d 'Forget what \'managedsave\' has saved: the next start boots'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "dump" -d 'Dump the guest\'s memory into a file'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "migrate" -d 'Send the guest to another QEMU and end it here'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "snapshot-create-as" -d 'Take a snapshot of the guest into its disks'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "snapshot-list" -d 'List the snapshots of a domain'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "snapshot-revert" -d 'Take the guest back to a snapshot'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "snapshot-delete" -d 'Delete a snapshot from the disks that hold it'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "domjobinfo" -d 'Print how far the save, dump, migration or snapshot is that is under way'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "domjobabort" -d 'Cancel the save, dump or migration that is under way'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "inject-nmi" -d 'Send the guest a non-maskable interrupt'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "dompmwakeup" -d 'Wake a guest that sleeps in memory'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "qemu-monitor-command" -d 'Send QEMU a command over its monitor and print the reply'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "define" -d 'Keep a domain\'s command line without starting it'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "undefine" -d 'Forget an inactive domain and its history'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "domrename" -d 'Give an inactive domain another name'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "show" -d 'Print a domain\'s command line, fit to be pasted'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "dominfo" -d 'Print what is known of a domain'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "domblkerror" -d 'Print the disk that failed, if the guest was paused for it'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "domid" -d 'Print a domain\'s id, which is QEMU\'s pid, or \'-\' while it is inactive'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "domuuid" -d 'Print a domain\'s UUID'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "domname" -d 'Print a domain\'s name'
complete -c domstate -n "__fish_domstate_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c domstate -n "__fish_domstate_using_subcommand state" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand state" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand state" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand state" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand state" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand state" -l reason -d 'Print the reason too: \'shut off (crashed)\''
complete -c domstate -n "__fish_domstate_using_subcommand state" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand state" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand list" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand list" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand list" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l all -d 'List inactive domains too'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l inactive -d 'List inactive domains only'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l state-running -d 'List running domains'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l state-paused -d 'List paused domains'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l state-shutoff -d 'List domains that are shut off'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l state-other -d 'List domains in any other state'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l reason -d 'Show the reason too: \'shut off (crashed)\''
complete -c domstate -n "__fish_domstate_using_subcommand list" -l name -d 'Print names only'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l uuid -d 'Print UUIDs only'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l id -d 'Print ids only'
complete -c domstate -n "__fish_domstate_using_subcommand list" -l table -d 'Print the table, which is the default'
complete -c domstate -n "__fish_domstate_using_subcommand list" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand list" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand explain" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand explain" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand explain" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand explain" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand explain" -l run -d 'Explain run N instead of the last one' -r
complete -c domstate -n "__fish_domstate_using_subcommand explain" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand explain" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand explain" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand history" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand history" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand history" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand history" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand history" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand history" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand history" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand logs" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand logs" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand logs" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand logs" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand logs" -l run -d 'Print the log of run N instead of the last one' -r
complete -c domstate -n "__fish_domstate_using_subcommand logs" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand logs" -s f -l follow -d 'Print what is added until QEMU ends'
complete -c domstate -n "__fish_domstate_using_subcommand logs" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand logs" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand wait" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand wait" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand wait" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand wait" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand wait" -l for -d 'Wait for CONDITION; given several times, any of them' -r
complete -c domstate -n "__fish_domstate_using_subcommand wait" -l condition -d 'Wait for virsh\'s CONDITION: domain-inactive' -r
complete -c domstate -n "__fish_domstate_using_subcommand wait" -l timeout -d 'Give up after DURATION: 30 (seconds), 500ms, 2m, 1h; 0 looks once' -r
complete -c domstate -n "__fish_domstate_using_subcommand wait" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand wait" -l any -d 'Return when one of the domains meets a condition'
complete -c domstate -n "__fish_domstate_using_subcommand wait" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand wait" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand run" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand run" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand run" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand run" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand run" -l timeout -d 'Destroy the guest after DURATION: 30 (seconds), 500ms, 2m, 1h' -r
complete -c domstate -n "__fish_domstate_using_subcommand run" -l pass-fds -d 'Pass these file descriptors on to QEMU' -r
complete -c domstate -n "__fish_domstate_using_subcommand run" -l on-crash -d 'When the guest panics: destroy, restart, preserve, coredump-destroy or coredump-restart' -r
complete -c domstate -n "__fish_domstate_using_subcommand run" -l on-poweroff -d 'When the guest powers itself off: destroy or restart' -r
complete -c domstate -n "__fish_domstate_using_subcommand run" -l on-reboot -d 'When the guest resets itself: restart or destroy' -r
complete -c domstate -n "__fish_domstate_using_subcommand run" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand run" -l guest-status -d 'Exit with the status that the guest itself gave, where it gave one'
complete -c domstate -n "__fish_domstate_using_subcommand run" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand run" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand start" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand start" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand start" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand start" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand start" -l incoming -d 'Wait for a guest that \'migrate\' sends to URI: tcp:HOST:PORT or unix:PATH' -r
complete -c domstate -n "__fish_domstate_using_subcommand start" -l pass-fds -d 'Pass these file descriptors on to QEMU' -r
complete -c domstate -n "__fish_domstate_using_subcommand start" -l on-crash -d 'When the guest panics: destroy, restart, preserve, coredump-destroy or coredump-restart' -r
complete -c domstate -n "__fish_domstate_using_subcommand start" -l on-poweroff -d 'When the guest powers itself off: destroy or restart' -r
complete -c domstate -n "__fish_domstate_using_subcommand start" -l on-reboot -d 'When the guest resets itself: restart or destroy' -r
complete -c domstate -n "__fish_domstate_using_subcommand start" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand start" -l paused -d 'Leave the guest paused until \'resume\''
complete -c domstate -n "__fish_domstate_using_subcommand start" -l force-boot -d 'Boot, and give up what \'managedsave\' has left'
complete -c domstate -n "__fish_domstate_using_subcommand start" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand start" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand shutdown" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand shutdown" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand shutdown" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand shutdown" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand shutdown" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand shutdown" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand shutdown" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand reboot" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand reboot" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand reboot" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand reboot" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand reboot" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand reboot" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand reboot" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand destroy" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand destroy" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand destroy" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand destroy" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand destroy" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand destroy" -l graceful -d 'Ask QEMU to quit and fail if it does not, instead of killing it'
complete -c domstate -n "__fish_domstate_using_subcommand destroy" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand destroy" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand reset" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand reset" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand reset" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand reset" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand reset" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand reset" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand reset" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand suspend" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand suspend" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand suspend" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand suspend" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand suspend" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand suspend" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand suspend" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand resume" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand resume" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand resume" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand resume" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand resume" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand resume" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand resume" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand save" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand save" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand save" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand save" -l domain -d 'The same as DOMAIN, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand save" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand save" -l running -d 'Let the guest run then, whatever it did before'
complete -c domstate -n "__fish_domstate_using_subcommand save" -l paused -d 'Leave the guest paused then'
complete -c domstate -n "__fish_domstate_using_subcommand save" -l verbose -d 'Show on the terminal how far it is'
complete -c domstate -n "__fish_domstate_using_subcommand save" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand save" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand restore" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand restore" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand restore" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand restore" -l pass-fds -d 'Pass these file descriptors on to QEMU' -r
complete -c domstate -n "__fish_domstate_using_subcommand restore" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand restore" -l running -d 'Let the guest run then, whatever it did before'
complete -c domstate -n "__fish_domstate_using_subcommand restore" -l paused -d 'Leave the guest paused then'
complete -c domstate -n "__fish_domstate_using_subcommand restore" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand restore" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -l running -d 'Let the guest run then, whatever it did before'
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -l paused -d 'Leave the guest paused then'
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -l verbose -d 'Show on the terminal how far it is'
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand managedsave" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand managedsave-remove" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand managedsave-remove" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand managedsave-remove" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand managedsave-remove" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand managedsave-remove" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand managedsave-remove" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand managedsave-remove" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand dump" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand dump" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand dump" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand dump" -l domain -d 'The same as DOMAIN, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand dump" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand dump" -l crash -d 'End the guest when it is dumped: \'shut off (crashed)\''
complete -c domstate -n "__fish_domstate_using_subcommand dump" -l reset -d 'Reset the guest when it is dumped'
complete -c domstate -n "__fish_domstate_using_subcommand dump" -l live -d 'Taken as virsh takes it; QEMU stops the guest all the same'
complete -c domstate -n "__fish_domstate_using_subcommand dump" -l memory-only -d 'Write an ELF core of the guest\'s memory instead of QEMU\'s own stream'
complete -c domstate -n "__fish_domstate_using_subcommand dump" -l verbose -d 'Show on the terminal how far it is'
complete -c domstate -n "__fish_domstate_using_subcommand dump" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand dump" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -l domain -d 'The same as DOMAIN, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -l timeout -d 'After DURATION stop the guest so that it can leave, or with --postcopy hand it over' -r
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -l postcopy -d 'Let the guest run there at once, and fetch the rest of its memory as it needs it'
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -l verbose -d 'Show on the terminal how far it is'
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand migrate" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-create-as" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-create-as" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-create-as" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-create-as" -l domain -d 'The same as DOMAIN, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-create-as" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-create-as" -l halt -d 'End the guest when it is taken: \'shut off (from snapshot)\''
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-create-as" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-create-as" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-list" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-list" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-list" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-list" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-list" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-list" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-list" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-revert" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-revert" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-revert" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-revert" -l domain -d 'The same as DOMAIN, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-revert" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-revert" -l running -d 'Let the guest run then, whatever it did before'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-revert" -l paused -d 'Leave the guest paused then'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-revert" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-revert" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-delete" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-delete" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-delete" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-delete" -l domain -d 'The same as DOMAIN, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-delete" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-delete" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand snapshot-delete" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand domjobinfo" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand domjobinfo" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domjobinfo" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domjobinfo" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand domjobinfo" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand domjobinfo" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand domjobinfo" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand domjobabort" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand domjobabort" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domjobabort" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domjobabort" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand domjobabort" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand domjobabort" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand domjobabort" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand inject-nmi" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand inject-nmi" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand inject-nmi" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand inject-nmi" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand inject-nmi" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand inject-nmi" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand inject-nmi" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand dompmwakeup" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand dompmwakeup" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand dompmwakeup" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand dompmwakeup" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand dompmwakeup" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand dompmwakeup" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand dompmwakeup" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand qemu-monitor-command" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand qemu-monitor-command" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand qemu-monitor-command" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand qemu-monitor-command" -l domain -d 'The same as DOMAIN, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand qemu-monitor-command" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand qemu-monitor-command" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand qemu-monitor-command" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand define" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand define" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand define" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand define" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand define" -l on-crash -d 'When the guest panics: destroy, restart, preserve, coredump-destroy or coredump-restart' -r
complete -c domstate -n "__fish_domstate_using_subcommand define" -l on-poweroff -d 'When the guest powers itself off: destroy or restart' -r
complete -c domstate -n "__fish_domstate_using_subcommand define" -l on-reboot -d 'When the guest resets itself: restart or destroy' -r
complete -c domstate -n "__fish_domstate_using_subcommand define" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand define" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand define" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -l managed-save -d 'Forget what \'managedsave\' has saved, too'
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -l snapshots-metadata -d 'Forget its snapshots, too; its disks hold them still'
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -l remove-dumps -d 'Remove the core files of \'--on-crash coredump-*\', too'
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand undefine" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand domrename" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand domrename" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domrename" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domrename" -l domain -d 'The same as DOMAIN, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand domrename" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand domrename" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand domrename" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand show" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand show" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand show" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand show" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand show" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand show" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand show" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand dominfo" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand dominfo" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand dominfo" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand dominfo" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand dominfo" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand dominfo" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand dominfo" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand domblkerror" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand domblkerror" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domblkerror" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domblkerror" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand domblkerror" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand domblkerror" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand domblkerror" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand domid" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand domid" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domid" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domid" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand domid" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand domid" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand domid" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand domuuid" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand domuuid" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domuuid" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domuuid" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand domuuid" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand domuuid" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand domuuid" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand domname" -l state-dir -d 'Keep the domains in DIR instead of $DOMSTATE_DIR, /var/lib/domstate (root) or ~/.local/state/domstate' -r -F
complete -c domstate -n "__fish_domstate_using_subcommand domname" -l format -d 'Print text (the default), or json, one object a line' -r -f -a "text\t''
json\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domname" -l color -d 'Color the state: auto (on a terminal, the default), always or never' -r -f -a "auto\t''
always\t''
never\t''"
complete -c domstate -n "__fish_domstate_using_subcommand domname" -l domain -d 'The same, as an option' -r
complete -c domstate -n "__fish_domstate_using_subcommand domname" -s q -l quiet -d 'Leave out success messages and headers'
complete -c domstate -n "__fish_domstate_using_subcommand domname" -s h -l help -d 'Print help'
complete -c domstate -n "__fish_domstate_using_subcommand domname" -s V -l version -d 'Print version'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "state" -d 'Print the state of each domain (\'state\' may be left out)'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "list" -d 'List domains; without options, the active ones'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "explain" -d 'Show why a domain is in its state, with the evidence'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "history" -d 'List the last runs of a domain and how each ended'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "logs" -d 'Print what QEMU wrote'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "wait" -d 'Wait until each domain has ended, or meets a condition'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "run" -d 'Run QEMU in the foreground and tell how it ended'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "start" -d 'Start QEMU in the background'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "shutdown" -d 'Ask the guest to power itself off'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "reboot" -d 'Ask the guest to power itself off, and start it again when it has'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "destroy" -d 'End QEMU at once, as if the guest\'s power were cut'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "reset" -d 'Reset the guest, as its reset button would'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "suspend" -d 'Pause the guest'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "resume" -d 'Let a paused guest run on'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "save" -d 'Save the guest into a file and end it'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "restore" -d 'Take a guest up that \'save\' has saved'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "managedsave" -d 'Save the guest for its next start and end it'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "managedsave-remove" -d 'Forget what \'managedsave\' has saved: the next start boots'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "dump" -d 'Dump the guest\'s memory into a file'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "migrate" -d 'Send the guest to another QEMU and end it here'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "snapshot-create-as" -d 'Take a snapshot of the guest into its disks'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "snapshot-list" -d 'List the snapshots of a domain'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "snapshot-revert" -d 'Take the guest back to a snapshot'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "snapshot-delete" -d 'Delete a snapshot from the disks that hold it'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "domjobinfo" -d 'Print how far the save, dump, migration or snapshot is that is under way'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "domjobabort" -d 'Cancel the save, dump or migration that is under way'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "inject-nmi" -d 'Send the guest a non-maskable interrupt'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "dompmwakeup" -d 'Wake a guest that sleeps in memory'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "qemu-monitor-command" -d 'Send QEMU a command over its monitor and print the reply'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "define" -d 'Keep a domain\'s command line without starting it'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "undefine" -d 'Forget an inactive domain and its history'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "domrename" -d 'Give an inactive domain another name'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "show" -d 'Print a domain\'s command line, fit to be pasted'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "dominfo" -d 'Print what is known of a domain'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "domblkerror" -d 'Print the disk that failed, if the guest was paused for it'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "domid" -d 'Print a domain\'s id, which is QEMU\'s pid, or \'-\' while it is inactive'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "domuuid" -d 'Print a domain\'s UUID'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "domname" -d 'Print a domain\'s name'
complete -c domstate -n "__fish_domstate_using_subcommand help; and not __fish_seen_subcommand_from state list explain history logs wait run start shutdown reboot destroy reset suspend resume save restore managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'

# Behind clap's own: a DOMAIN is a domain. Their names, asked of domstate itself.
function __fish_domstate_domains
    domstate list --all --name 2>/dev/null
end
complete -c domstate -n "__fish_domstate_needs_command" -f -a "(__fish_domstate_domains)" -d Domain
complete -c domstate -n "__fish_domstate_using_subcommand state domstate explain history logs wait await run start shutdown reboot destroy reset suspend resume save managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname" -f -a "(__fish_domstate_domains)" -d Domain
complete -c domstate -n "__fish_domstate_using_subcommand state domstate explain history logs wait await run start shutdown reboot destroy reset suspend resume save managedsave managedsave-remove dump migrate snapshot-create-as snapshot-list snapshot-revert snapshot-delete domjobinfo domjobabort inject-nmi dompmwakeup qemu-monitor-command define undefine domrename show dominfo domblkerror domid domuuid domname" -l domain -r -f -a "(__fish_domstate_domains)" -d Domain
