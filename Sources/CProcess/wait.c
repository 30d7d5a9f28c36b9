#define _GNU_SOURCE
#include "cprocess.h"
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

int cprocess_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC); }

int cprocess_waiting(int descriptor) {
    int count = 0;
    return ioctl(descriptor, FIONREAD, &count) < 0 ? 0 : count;
}

int cprocess_event(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }

void cprocess_event_raise(int event) { eventfd_write(event, 1); }

void cprocess_event_clear(int event) {
    eventfd_t value;
    eventfd_read(event, &value);
}

int cprocess_poll(void) { return epoll_create1(EPOLL_CLOEXEC); }

void cprocess_watch(int poll, int descriptor, int writes, uint64_t number) {
    struct epoll_event event = {.events = writes ? EPOLLOUT : EPOLLIN, .data = {.u64 = number}};
    epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event);
}

void cprocess_unwatch(int poll, int descriptor) { epoll_ctl(poll, EPOLL_CTL_DEL, descriptor, NULL); }

int cprocess_wait(int poll, uint64_t *numbers, int count_max, int timeout) {
    struct epoll_event events[64];
    int count = epoll_wait(poll, events, count_max < 64 ? count_max : 64, timeout);
    for (int index = 0; index < count; index++) numbers[index] = events[index].data.u64;
    return count;
}

void cprocess_name_thread(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

void cprocess_keep_ends(void) {
    struct sigaction action;
    if (sigaction(SIGCHLD, NULL, &action) < 0) return;
    // A handler that the program has set stays.
    if (!(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN) action.sa_handler = SIG_DFL;
    action.sa_flags &= ~SA_NOCLDWAIT;
    sigaction(SIGCHLD, &action, NULL);
}

void cprocess_adopt_orphans(void) { prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }
