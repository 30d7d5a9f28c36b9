// Starts a program with what posix_spawn can't set: limits, a user, a signal at the end of its parent.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// Where a start failed.
enum cprocess_step {
    CPROCESS_FORK,
    CPROCESS_GROUP,
    CPROCESS_DESCRIPTORS,
    CPROCESS_LIMITS,
    CPROCESS_DIRECTORY,
    CPROCESS_USER,
    CPROCESS_EXECUTE,
};

/// How to start a program; nothing of it is kept.
struct cprocess_plan {
    /// The program's path, not looked for in PATH.
    const char *path;
    char *const *arguments;
    char *const *environment;
    /// NULL: that of this process.
    const char *directory;
    /// The file `cgroup.procs` of its control group. NULL: that of this process.
    const char *group_members;
    /// What become its descriptors 0, 1, 2 and 3; it gets no others.
    int input, output, error, channel;
    /// Whether user, group and groups are set.
    int sets_user;
    uid_t user;
    gid_t group;
    const gid_t *groups;
    size_t group_count;
    /// Bytes of address space, seconds of processor time, open files; 0 leaves the limit as it is.
    unsigned long long memory, cpu_seconds, files;
};

/// Starts the program as the leader of a session and process group of its own. It gets SIGKILL when the calling
/// thread ends: call it from one that lives as long as the process.
/// Returns 0, or the error number, with the step that failed.
int cprocess_start(const struct cprocess_plan *plan, pid_t *pid, enum cprocess_step *step);

/// Whether systemd has marked a control group as its owner's own, by an attribute of its folder.
int cprocess_is_delegated(const char *group);

/// A descriptor that becomes readable when the child ends; -1 and errno.
int cprocess_descriptor(pid_t pid);

/// The child's end, if it has ended; it stays to be reaped. 1: it has ended, with its status or signal in `code`.
/// 0: not yet. -1: no such child.
int cprocess_look(pid_t pid, int *code, int *is_signal);

/// A pipe whose ends no program inherits.
int cprocess_pipe(int ends[2]);

/// How many bytes wait in a pipe to be read.
int cprocess_waiting(int descriptor);

/// A descriptor with which one thread wakes another one out of `cprocess_wait`.
int cprocess_event(void);
void cprocess_event_raise(int event);
void cprocess_event_clear(int event);

/// A set of descriptors to wait for, each with a number that says what it is.
int cprocess_poll(void);
/// - writes: whether it is waited for until it can be written, instead of read.
void cprocess_watch(int poll, int descriptor, int writes, uint64_t number);
void cprocess_unwatch(int poll, int descriptor);
/// The numbers of those that are ready: how many. `timeout` in milliseconds, -1 for none.
int cprocess_wait(int poll, uint64_t *numbers, int count_max, int timeout);

void cprocess_name_thread(const char *name);

/// Where SIGCHLD is ignored, as a parent may pass it on, the kernel keeps no child's end: makes it keep them.
void cprocess_keep_ends(void);

/// Makes orphans of what this process started its own children.
void cprocess_adopt_orphans(void);
