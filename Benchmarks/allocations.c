// Counts what a process asks of the heap: loaded before it with LD_PRELOAD, it takes the place of the C library's
// functions, counts, and passes on to them.
//
// The counters are in the file that JOBWORKER_ALLOCATIONS names, eight numbers of 64 bits, so that others can read them
// while the process runs. Without that variable nothing of it can be read.
//
// Counted by who asks: the program itself, with what is linked into it (all of Swift, where its standard library is),
// or a shared library (libpq, libssl, the C library).

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// What the functions below stand before; glibc exports them for this purpose.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *memory);

// Of the program, then of libraries.
struct counts {
    _Atomic uint64_t allocations, reallocations, frees, bytes;
};

static struct counts unseen[2];
static struct counts *counts = unseen;
static uintptr_t program_begin, program_end;

// The first object of the list is the program.
static int find_program(struct dl_phdr_info *object, size_t size, void *nothing) {
    (void)size, (void)nothing;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &object->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X)) {
            program_begin = object->dlpi_addr + part->p_vaddr;
            program_end = program_begin + part->p_memsz;
        }
    }
    return 1;
}

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("JOBWORKER_ALLOCATIONS");
    if (path == NULL) return;
    dl_iterate_phdr(find_program, NULL);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return;
    if (ftruncate(file, sizeof unseen) == 0) {
        void *shared = mmap(NULL, sizeof unseen, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        if (shared != MAP_FAILED) counts = shared;
    }
    close(file);
    // Programs that this one starts aren't counted.
    unsetenv("LD_PRELOAD");
    unsetenv("JOBWORKER_ALLOCATIONS");
}

#define CALLER() ((uintptr_t)__builtin_return_address(0))
#define ADD(counter, value) __atomic_fetch_add(&(counter), (value), __ATOMIC_RELAXED)

static struct counts *counts_of(uintptr_t caller) {
    return &counts[caller >= program_begin && caller < program_end ? 0 : 1];
}

static void allocated(uintptr_t caller, size_t size) {
    struct counts *own = counts_of(caller);
    ADD(own->allocations, 1);
    ADD(own->bytes, size);
}

void *malloc(size_t size) {
    void *memory = __libc_malloc(size);
    if (memory != NULL) allocated(CALLER(), size);
    return memory;
}

void *calloc(size_t count, size_t size) {
    void *memory = __libc_calloc(count, size);
    if (memory != NULL) allocated(CALLER(), count * size);
    return memory;
}

void *realloc(void *memory, size_t size) {
    struct counts *own = counts_of(CALLER());
    void *moved = __libc_realloc(memory, size);
    if (memory == NULL) {
        if (moved != NULL) allocated(CALLER(), size);
    } else if (size == 0) {
        ADD(own->frees, 1);
    } else if (moved != NULL) {
        ADD(own->reallocations, 1);
        ADD(own->bytes, size);
    }
    return moved;
}

void *memalign(size_t alignment, size_t size) {
    void *memory = __libc_memalign(alignment, size);
    if (memory != NULL) allocated(CALLER(), size);
    return memory;
}

void *aligned_alloc(size_t alignment, size_t size) {
    void *memory = __libc_memalign(alignment, size);
    if (memory != NULL) allocated(CALLER(), size);
    return memory;
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    if (alignment == 0 || alignment % sizeof(void *) != 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
    void *memory = __libc_memalign(alignment, size);
    if (memory == NULL) return ENOMEM;
    allocated(CALLER(), size);
    *result = memory;
    return 0;
}

void free(void *memory) {
    if (memory == NULL) return;
    ADD(counts_of(CALLER())->frees, 1);
    __libc_free(memory);
}
