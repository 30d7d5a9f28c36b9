// libsystemd's daemon and journal functions.
#pragma once
#include <systemd/sd-daemon.h>
#include <systemd/sd-journal.h>
