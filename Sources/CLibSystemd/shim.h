// libsystemd's daemon and journal functions, and a call that keeps a process's memory to itself.
#pragma once
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>

// prctl is variadic, which Swift can't call.
#include <sys/prctl.h>
static inline int shim_forbid_dumps(void) {
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}
