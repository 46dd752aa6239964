//! The verbs that virsh has and domstate has not.
//!
//! A word that is no verb of ours is a domain's name, so `domstate autostart v` asks for two domains; where
//! there is none of that name, the hint says what the user probably meant. It serves that
//! hint alone and need not be complete.

const VERBS: &str = "\
    allocpages attach-device attach-disk attach-interface autostart backup-begin backup-dumpxml blkdeviotune \
    blkiotune blockcommit blockcopy blockjob blockpull blockresize capabilities cd change-media checkpoint-create \
    checkpoint-create-as checkpoint-delete checkpoint-dumpxml checkpoint-edit checkpoint-info checkpoint-list \
    checkpoint-parent connect console cpu-baseline cpu-compare cpu-models cpu-stats create desc detach-device \
    detach-device-alias detach-disk detach-interface dom-fd-associate domblkinfo domblklist domblkstat \
    domblkthreshold domcapabilities domcontrol domdirtyrate-calc domdisplay domdisplay-reload domfsfreeze \
    domfsinfo domfsthaw domfstrim domhostname domif-getlink domif-setlink domifaddr domiflist domifstat domiftune \
    domlaunchsecinfo dommemstat dompmsuspend domsetlaunchsecstate \
    domstats domthrottlegroupdel domthrottlegroupinfo domthrottlegrouplist domthrottlegroupset domtime \
    domxml-from-native domxml-to-native dumpxml echo edit emulatorpin event exit find-storage-pool-sources \
    find-storage-pool-sources-as freecell freepages get-user-sshkeys guest-agent-timeout guestinfo guestvcpus \
    hostname hypervisor-cpu-baseline hypervisor-cpu-compare hypervisor-cpu-models iface-begin iface-bridge \
    iface-commit iface-define iface-destroy iface-dumpxml iface-edit iface-list iface-mac iface-name \
    iface-rollback iface-start iface-unbridge iface-undefine iothreadadd iothreaddel iothreadinfo \
    iothreadpin iothreadset lxc-enter-namespace managedsave-define managedsave-dumpxml \
    managedsave-edit maxvcpus memtune metadata migrate-compcache migrate-getmaxdowntime \
    migrate-getspeed migrate-postcopy migrate-setmaxdowntime migrate-setspeed net-autostart net-create net-define \
    net-desc net-destroy net-dhcp-leases net-dumpxml net-edit net-event net-info net-list net-metadata net-name \
    net-port-create net-port-delete net-port-dumpxml net-port-list net-start net-undefine net-update net-uuid \
    node-memory-tune nodecpumap nodecpustats nodedev-autostart nodedev-create nodedev-define nodedev-destroy \
    nodedev-detach nodedev-dettach nodedev-dumpxml nodedev-event nodedev-info nodedev-list nodedev-reattach \
    nodedev-reset nodedev-start nodedev-undefine nodedev-update nodeinfo nodememstats nodesevinfo nodesuspend \
    numatune nwfilter-binding-create nwfilter-binding-delete nwfilter-binding-dumpxml nwfilter-binding-list \
    nwfilter-define nwfilter-dumpxml nwfilter-edit nwfilter-list nwfilter-undefine perf pool-autostart pool-build \
    pool-capabilities pool-create pool-create-as pool-define pool-define-as pool-delete pool-destroy pool-dumpxml \
    pool-edit pool-event pool-info pool-list pool-name pool-refresh pool-start pool-undefine pool-uuid pwd \
    qemu-agent-command qemu-attach qemu-monitor-event quit \
    save-image-define save-image-dumpxml save-image-edit schedinfo screenshot secret-define secret-dumpxml \
    secret-event secret-get-value secret-list secret-set-value secret-undefine send-key send-process-signal \
    set-lifecycle-action set-user-password set-user-sshkeys setmaxmem setmem setvcpu setvcpus snapshot-create \
    snapshot-current snapshot-dumpxml snapshot-edit snapshot-info snapshot-parent sysinfo ttyconsole update-device \
    update-memory-device uri vcpucount vcpuinfo vcpupin version vncdisplay vol-clone vol-create vol-create-as \
    vol-create-from vol-delete vol-download vol-dumpxml vol-info vol-key vol-list vol-name vol-path vol-pool \
    vol-resize vol-upload vol-wipe";

/// Whether `word` is a verb of virsh that domstate has not got.
pub fn is_virsh_verb(word: &str) -> bool {
    VERBS.split(' ').any(|verb| verb == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verb_that_domstate_has_is_not_in_the_list() {
        for verb in super::super::command().get_subcommands() {
            assert!(!is_virsh_verb(verb.get_name()), "{}", verb.get_name());
        }
        assert!(is_virsh_verb("snapshot-parent"));
        assert!(is_virsh_verb("autostart"));
        assert!(is_virsh_verb("vol-wipe"));
        assert!(!is_virsh_verb("web"));
        assert!(!is_virsh_verb(""));
    }
}
