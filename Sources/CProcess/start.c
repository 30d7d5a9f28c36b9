#define _GNU_SOURCE
#include "cprocess.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int limit(int resource, unsigned long long value) {
    if (value == 0) return 0;
    struct rlimit both = {value, value};
    // By the system call: it exists under one name on every machine, whatever the C library does.
    return (int)syscall(SYS_prlimit64, 0, resource, &both, NULL);
}

// Runs in the memory of the parent, which waits: no locks, no allocation, and nothing but system calls. Those that
// change the user are made by number, as the C library's would change all threads of the parent.
static int prepare(const struct cprocess_plan *plan, pid_t parent, enum cprocess_step *step) {
    *step = CPROCESS_FORK;
    struct sigaction usual;
    memset(&usual, 0, sizeof usual);
    usual.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++) sigaction(number, &usual, NULL);
    if (setsid() < 0) return errno;

    *step = CPROCESS_GROUP;
    if (plan->group_members) {
        int members = open(plan->group_members, O_WRONLY | O_CLOEXEC);
        if (members < 0) return errno;
        if (write(members, "0", 1) < 0) return errno;
        close(members);
    }

    *step = CPROCESS_DESCRIPTORS;
    int given[4] = {plan->input, plan->output, plan->error, plan->channel};
    // Out of the way first: one of them may have the number of another one's place.
    for (int place = 0; place < 4; place++) {
        given[place] = fcntl(given[place], F_DUPFD_CLOEXEC, 10);
        if (given[place] < 0) return errno;
    }
    for (int place = 0; place < 4; place++)
        if (dup2(given[place], place) < 0) return errno;
    if (syscall(SYS_close_range, 4U, ~0U, 0U) < 0)
        for (int number = 4; number < 16384; number++) close(number);

    *step = CPROCESS_LIMITS;
    struct rlimit none = {0, 0};
    syscall(SYS_prlimit64, 0, RLIMIT_CORE, &none, NULL);
    if (limit(RLIMIT_AS, plan->memory) < 0 || limit(RLIMIT_CPU, plan->cpu_seconds) < 0
        || limit(RLIMIT_NOFILE, plan->files) < 0)
        return errno;

    if (plan->sets_user) {
        *step = CPROCESS_USER;
        if (syscall(SYS_setgroups, plan->group_count, plan->groups) < 0) return errno;
        if (syscall(SYS_setresgid, plan->group, plan->group, plan->group) < 0) return errno;
        if (syscall(SYS_setresuid, plan->user, plan->user, plan->user) < 0) return errno;
    }
    *step = CPROCESS_DIRECTORY;
    if (plan->directory && chdir(plan->directory) < 0) return errno;

    *step = CPROCESS_EXECUTE;
    // After the user, whose change takes it back.
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() != parent) return ESRCH;
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    execve(plan->path, plan->arguments, plan->environment);
    return errno;
}

int cprocess_start(const struct cprocess_plan *plan, pid_t *pid, enum cprocess_step *step) {
    // No handler of the parent may run in the child, which has its memory.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    // Written by the child, read here.
    volatile int problem = 0;
    *step = CPROCESS_FORK;
    pid_t child = vfork();
    if (child == 0) {
        problem = prepare(plan, parent, step);
        _exit(127);
    }
    if (child < 0) problem = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (child > 0 && problem != 0) {
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    }
    *pid = child;
    return problem;
}

int cprocess_is_delegated(const char *group) {
    char value = 0;
    return (getxattr(group, "user.delegate", &value, 1) == 1 && value == '1')
        || (getxattr(group, "trusted.delegate", &value, 1) == 1 && value == '1');
}

int cprocess_descriptor(pid_t pid) {
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

int cprocess_look(pid_t pid, int *code, int *is_signal) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
        if (errno != EINTR) return -1;
    if (info.si_pid == 0) return 0;
    *code = info.si_status;
    *is_signal = info.si_code != CLD_EXITED;
    return 1;
}
