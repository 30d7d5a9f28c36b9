// libpq, and the two kernel calls a connection's thread waits with.
#pragma once
#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>
