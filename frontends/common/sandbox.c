/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "sandbox.h"
#ifdef __linux__
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#endif
#if HAVE_SECCOMP
#include <linux/sched.h>
#include <seccomp.h>
#endif

void sandbox_allow(struct sandbox *s, unsigned rights, const char *path)
{
	if (path && s->count < SANDBOX_PATHS && (s->paths[s->count].path = strdup(path)))
		s->paths[s->count++].rights = rights;
}

void sandbox_free(struct sandbox *s)
{
	while (s->count)
		free(s->paths[--s->count].path);
}

#ifndef SANDBOX
#define SANDBOX 1
#endif

#if SANDBOX && defined __linux__

/* ---- Landlock: linux/landlock.h as of ABI 6; a host's header may be older ---- */

enum { ADD_PATH = 1, ADD_PORT = 2 };
#define FS(n) ((uint64_t)1 << (n))
#define FS_WRITE_FILE FS(1)
#define FS_READ_FILE FS(2)
#define FS_READ_DIR FS(3)
#define FS_REMOVE (FS(4) | FS(5))         /* directories, files */
#define FS_MAKE (FS(7) | FS(8) | FS(12))  /* directories, files, symbolic links */
#define FS_REFER FS(13)                   /* ABI 2 */
#define FS_TRUNCATE FS(14)                /* ABI 3 */
#define FS_IOCTL_DEV FS(15)               /* ABI 5 */
#define FS_OF_FILES (FS(0) | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define NET_TCP 3                         /* ABI 4: bind, connect */
#define NET_CONNECT 2
#define SCOPE 3                           /* ABI 6: abstract Unix sockets, signals */

struct ruleset { uint64_t fs, net, scoped; };
struct path_rule { uint64_t access; int32_t fd; } __attribute__((packed));
struct port_rule { uint64_t access, port; };

static int create_ruleset(const struct ruleset *r, size_t size, unsigned flags)
{
	return (int)syscall(444, r, size, flags);
}
static int add_rule(int ruleset, int kind, const void *rule) { return (int)syscall(445, ruleset, kind, rule, 0); }
static int restrict_self(int ruleset) { return (int)syscall(446, ruleset, 0); }

static bool add_path(int ruleset, uint64_t handled, const char *path, unsigned rights)
{
	struct path_rule rule = { .fd = open(path, O_PATH | O_CLOEXEC) };
	struct stat st;
	bool ok;

	if (rule.fd < 0)
		return true; /* nobody can open what is not there */
	rule.access = rights & SANDBOX_READ ? FS_READ_FILE | FS_READ_DIR : 0;
	rule.access |= rights & SANDBOX_WRITE ? FS_WRITE_FILE | FS_TRUNCATE | FS_IOCTL_DEV : 0;
	rule.access |= rights & SANDBOX_CHANGE ? FS_REMOVE | FS_MAKE | FS_REFER : 0;
	rule.access &= handled;
	if (!fstat(rule.fd, &st) && !S_ISDIR(st.st_mode))
		rule.access &= FS_OF_FILES;
	ok = !rule.access || !add_rule(ruleset, ADD_PATH, &rule);
	close(rule.fd);
	return ok;
}

bool sandbox_files(const struct sandbox *s, const char **lacks)
{
	struct ruleset r = { .fs = FS(13) - 1,
			     .net = s->internet && !s->nports ? 0 : NET_TCP,
			     .scoped = s->window ? 0 : SCOPE };
	int abi = s->off ? 0 : create_ruleset(NULL, 0, 1), ruleset;
	bool ok = true;

	if (s->off)
		return true;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return false;
	if (abi < 0) {
		*lacks = "Landlock: file names are not confined";
		return errno == ENOSYS || errno == EOPNOTSUPP;
	}
	r.fs |= (abi >= 2 ? FS_REFER : 0) | (abi >= 3 ? FS_TRUNCATE : 0) | (abi >= 5 ? FS_IOCTL_DEV : 0);
	if (abi < 4 && r.net)
		*lacks = "Landlock for TCP, which Linux has from 6.7 on";
	r.net = abi >= 4 ? r.net : 0;
	r.scoped = abi >= 6 ? r.scoped : 0;
	ruleset = create_ruleset(&r, abi >= 6 ? sizeof r : abi >= 4 ? offsetof(struct ruleset, scoped)
		: offsetof(struct ruleset, net), 0);
	if (ruleset < 0)
		return false;
	for (unsigned i = 0; i < s->count; i++)
		ok = ok && add_path(ruleset, r.fs, s->paths[i].path, s->paths[i].rights);
	for (unsigned i = 0; r.net && i < s->nports; i++)
		ok = ok && !add_rule(ruleset, ADD_PORT, &(struct port_rule){ NET_CONNECT, s->ports[i] });
	ok = ok && !restrict_self(ruleset);
	close(ruleset);
	return ok;
}

/* ---- seccomp ---- */

#if HAVE_SECCOMP

/* What libc, zlib and the rest of us ask for while a machine runs. */
static const char *const always[] = {
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "lseek",
		"close", "close_range", "fstat",
	"newfstatat", "statx", "stat", "lstat", "statfs", "fstatfs", "fdatasync", "fsync", "ftruncate", "fallocate",
	"fadvise64", "sync_file_range", "copy_file_range",
	"sendfile", "fcntl", "dup", "dup2", "dup3", "pipe", "pipe2", "eventfd2", "getcwd", "readlink", "readlinkat",
	"access", "faccessat", "faccessat2",
	"poll", "ppoll", "select", "pselect6", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait",
	"munmap", "mremap", "madvise", "brk", "msync", "mincore", "membarrier",
	"futex", "futex_waitv", "set_robust_list", "get_robust_list", "rseq", "sched_yield", "sched_getaffinity",
	"sched_getparam", "sched_getscheduler",
	"getcpu", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend",
	"sigaltstack", "restart_syscall",
	"getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getpgrp", "getpgid", "getsid",
	"getrlimit", "getrusage", "sysinfo", "uname",
	"times", "wait4", "waitid", "exit", "exit_group", "arch_prctl",
	"clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "getitimer",
	"setitimer", "alarm", "timer_create",
	"timer_settime", "timer_gettime", "timer_getoverrun", "timer_delete", "getrandom",
	"accept", "accept4", "recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg", "shutdown",
	"getsockopt", "setsockopt", "getsockname",
	"getpeername",
};
/* Where names are allowed; Landlock says which. */
static const char *const names[] = { "open", "openat", "openat2", "creat", "getdents64" };
/* Where directories may be changed. What Landlock does not look at, modes and times, is changed by descriptor only. */
static const char *const changes[] = {
	"mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2", "link", "linkat",
		"symlink", "symlinkat", "fchmod",
};
static const char *const sockets[] = { "connect", "bind", "listen" };
/* SDL's drivers, with threads. */
static const char *const window_only[] = {
	"open", "openat", "getdents64", "getdents", "mmap", "mprotect", "ioctl", "clone", "set_tid_address",
		"memfd_create", "mlock", "munlock", "shmget", "shmat", "shmdt", "shmctl",
	"sched_setaffinity", "sched_setscheduler", "sched_get_priority_max", "sched_get_priority_min", "setpriority",
	"getpriority", "prctl", "tgkill", "prlimit64",
	"inotify_init1", "inotify_add_watch", "inotify_rm_watch", "timerfd_create", "timerfd_settime", "signalfd4",
	"fchmod", "unlink", "kcmp", "ftruncate",
};
/* Nobody asks for these by mistake. */
static const char *const deadly[] = {
	"execve", "execveat", "fork", "vfork", "ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd",
		"kexec_load", "kexec_file_load", "init_module",
	"finit_module", "delete_module", "mount", "umount2", "move_mount", "fsopen", "pivot_root", "chroot", "setns",
	"unshare", "bpf", "perf_event_open",
	"userfaultfd", "open_by_handle_at", "reboot", "swapon", "swapoff", "iopl", "ioperm", "setuid", "setgid",
	"setreuid", "setregid", "setresuid",
	"setresgid", "setgroups", "capset", "keyctl", "add_key", "request_key", "modify_ldt", "personality",
};

struct filter { scmp_filter_ctx context; bool ok; };

/* A call that this architecture does not have is none that can be made. */
static void allow_all(struct filter *f, uint32_t action, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		int number = seccomp_syscall_resolve_name(list[i]);

		if (number >= 0 && seccomp_rule_add(f->context, action, number, 0) && errno != EEXIST)
			f->ok = false;
	}
}

static void allow_if(struct filter *f, int number, struct scmp_arg_cmp comparison)
{
	f->ok = f->ok && !seccomp_rule_add_array(f->context, SCMP_ACT_ALLOW, number, 1, &comparison);
}

#define ALLOW(f, list) allow_all(f, SCMP_ACT_ALLOW, list, sizeof (list) / sizeof *(list))

static void fill(struct filter *f, const struct sandbox *s)
{
	/* Of terminals, what sets and asks; never what types (TIOCSTI, TIOCLINUX). */
	static const unsigned long ioctls[] = { TCGETS,    TCSETS,   TCSETSW,  TCSETSF, TIOCGWINSZ, TIOCSWINSZ,
						TIOCGPGRP, TIOCOUTQ, FIONREAD, FIONBIO, FIOCLEX };
	unsigned rights = 0;

	for (unsigned i = 0; i < s->count; i++)
		rights |= s->paths[i].rights;
	allow_all(f, SCMP_ACT_KILL_PROCESS, deadly, sizeof deadly / sizeof *deadly);
	ALLOW(f, always);
	if (rights)
		ALLOW(f, names);
	if (rights & SANDBOX_CHANGE) {
		ALLOW(f, changes);
		allow_if(f, SCMP_SYS(utimensat), SCMP_A1(SCMP_CMP_EQ, 0));
	}
	if (s->internet || s->local)
		ALLOW(f, sockets);
	if (s->internet) {
		allow_if(f, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET));
		allow_if(f, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_INET6));
	}
	if (s->local)
		allow_if(f, SCMP_SYS(socket), SCMP_A0(SCMP_CMP_EQ, AF_UNIX));
	if (s->window) {
		ALLOW(f, window_only);
	} else {
		allow_if(f, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		allow_if(f, SCMP_SYS(mmap), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0));
		allow_if(f, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
		allow_if(f, SCMP_SYS(mprotect), SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_WRITE, 0));
		allow_if(f, SCMP_SYS(tgkill), SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())); /* raise */
		allow_if(f, SCMP_SYS(prlimit64), SCMP_A2(SCMP_CMP_EQ, 0));                  /* asks only */
		for (size_t i = 0; i < sizeof ioctls / sizeof *ioctls; i++)
			allow_if(f, SCMP_SYS(ioctl), SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, ioctls[i]));
	}
	/* Its flags are in memory; without it, libc uses clone. */
	f->ok = f->ok && !seccomp_rule_add(f->context, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
}

bool sandbox_calls(const struct sandbox *s, const char **lacks)
{
	struct filter f = { NULL, true };
	int error;

	if (s->off)
		return true;
	f.context = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	if (!f.context) {
		*lacks = "seccomp: system calls are not confined";
		return true;
	}
	fill(&f, s);
	/* All threads; and the speculation of ours is left as fast as it was: secrets of others are not in this
	 * process. */
	f.ok = f.ok && !seccomp_attr_set(f.context, SCMP_FLTATR_CTL_TSYNC, 1) &&
	       !seccomp_attr_set(f.context, SCMP_FLTATR_CTL_SSB, 1);
	seccomp_attr_set(f.context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	error = f.ok ? seccomp_load(f.context) : -EINVAL;
	seccomp_release(f.context);
	if (error == -ENOSYS || error == -ECANCELED) {
		*lacks = "seccomp: system calls are not confined";
		return true;
	}
	errno = -error;
	return !error;
}

#else

bool sandbox_calls(const struct sandbox *s, const char **lacks)
{
	if (!s->off)
		*lacks = "libseccomp, which this program was built without: system calls are not confined";
	return true;
}

#endif

#else

/* Sanitizers and gcov open files and start processes at the end. */
bool sandbox_files(const struct sandbox *s, const char **lacks)
{
	if (!s->off)
		*lacks = "a sandbox: it was not built in";
	return true;
}

bool sandbox_calls(const struct sandbox *s, const char **lacks)
{
	(void)s, (void)lacks;
	return true;
}

#endif
