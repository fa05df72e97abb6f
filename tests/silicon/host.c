/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include <stddef.h>
#include "tests/silicon/host.h"

#if defined __x86_64__ && defined __linux__
#include <asm/ldt.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

enum { ALT_SIZE = 1 << 17, FP_MAGIC1 = 0x46505853, FP_MAGIC2 = 0x46505845, SW_RESERVED = 464 };
enum { UC_FP_XSTATE = 1, UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4 };

/* For the assembler: what host_enter loads and host_signal stores beside the frame. */
struct host_segments { u64 fs_base, gs_base; u32 es, ds, fs, gs; u32 with_bases; };
struct host_segments host_in __attribute__((visibility("hidden"))), host_out __attribute__((visibility("hidden")));
u64 host_own_fs __attribute__((visibility("hidden"))), host_own_stack __attribute__((visibility("hidden")));
u32 host_running __attribute__((visibility("hidden"))), host_ticks __attribute__((visibility("hidden")));

void host_enter(const void *context) __attribute__((visibility("hidden")));
void host_signal(int number, siginfo_t *info, void *context) __attribute__((visibility("hidden")));
void host_alarm(int number, siginfo_t *info, void *context) __attribute__((visibility("hidden")));
void host_landed(int number, const siginfo_t *info, const ucontext_t *u) __attribute__((visibility("hidden"), used));
void host_stray(int number) __attribute__((visibility("hidden"), used));

/* host_enter: what the ABI wants kept goes to the stack, segments are loaded, and rt_sigreturn takes the frame at RSP.
 * host_signal: any state but the stack; AC, NT and ID are put out, segments are saved, and after host_landed it is
 * host_enter that returns. A signal outside a run has no host_enter to return from: host_stray lets it be fatal.
 * host_alarm: the timer ticks all the time; two ticks in one run are too many. */
__asm__(".text\n"
	"host_enter:\n"
	"	push %rbx\n	push %rbp\n	push %r12\n	push %r13\n	push %r14\n	push %r15\n"
	"	mov %rsp, host_own_stack(%rip)\n"
	"	movl $0, host_ticks(%rip)\n"
	"	movl $1, host_running(%rip)\n"
	"	mov host_in+16(%rip), %eax\n	mov %eax, %es\n"
	"	mov host_in+20(%rip), %eax\n	mov %eax, %ds\n"
	"	mov host_in+24(%rip), %eax\n	mov %eax, %fs\n"
	"	mov host_in+28(%rip), %eax\n	mov %eax, %gs\n"
	"	cmpl $0, host_in+32(%rip)\n	je 1f\n"
	"	mov host_in(%rip), %rax\n	wrfsbase %rax\n"
	"	mov host_in+8(%rip), %rax\n	wrgsbase %rax\n"
	"1:	mov %rdi, %rsp\n"
	"	mov $15, %eax\n"
	"	syscall\n"
	"	ud2\n"
	"host_alarm:\n"
	"	cmpl $0, host_running(%rip)\n	je 1f\n"
	"	incl host_ticks(%rip)\n"
	"	cmpl $2, host_ticks(%rip)\n	jae host_signal\n"
	"1:	ret\n"
	"host_signal:\n"
	"	xor %eax, %eax\n	xchg %eax, host_running(%rip)\n"
	"	test %eax, %eax\n	jz host_stray\n"
	"	pushfq\n	andl $~0x244000, (%rsp)\n	popfq\n"
	"	cld\n"
	"	mov %es, %eax\n	mov %eax, host_out+16(%rip)\n"
	"	mov %ds, %eax\n	mov %eax, host_out+20(%rip)\n"
	"	mov %fs, %eax\n	mov %eax, host_out+24(%rip)\n"
	"	mov %gs, %eax\n	mov %eax, host_out+28(%rip)\n"
	"	rdfsbase %rax\n	mov %rax, host_out(%rip)\n"
	"	rdgsbase %rax\n	mov %rax, host_out+8(%rip)\n"
	"	xor %eax, %eax\n	mov %eax, %fs\n"
	"	mov host_own_fs(%rip), %rax\n	wrfsbase %rax\n"
	"	call host_landed\n"
	"	mov host_own_stack(%rip), %rsp\n"
	"	pop %r15\n	pop %r14\n	pop %r13\n	pop %r12\n	pop %rbp\n	pop %rbx\n"
	"	ret\n");

static ucontext_t frame;                             /* as the kernel makes them */
static u8 fpu[4096] __attribute__((aligned(64)));
/* The components of AVX-512 in XSAVE's standard format: where, and where the last of them ends. No END: there are
 * none. */
static const struct { u8 number; u16 at, size; } members[] = {
	{ 5, offsetof(struct avx512_image, k), sizeof ((struct avx512_image *)NULL)->k },
	{ 6, offsetof(struct avx512_image, zmm_high), sizeof ((struct avx512_image *)NULL)->zmm_high },
	{ 7, offsetof(struct avx512_image, zmm), sizeof ((struct avx512_image *)NULL)->zmm },
};
static u32 component[ARRAY_LEN(members)], components_end;
static struct state *result;                         /* NULL: the frame is wanted */
static bool have_frame;

static void store_frame(struct state *s, const ucontext_t *u)
{
	static const u8 order[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				      REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
	const greg_t *g = u->uc_mcontext.gregs;

	for (unsigned i = 0; i < 16; i++)
		s->r[i] = (u64)g[order[i]];
	s->rip = (u64)g[REG_RIP];
	s->flags = (u64)g[REG_EFL];
	s->seg[0] = (u16)host_out.es;
	s->seg[1] = (u16)g[REG_CSGSFS];
	s->seg[2] = (u16)((u64)g[REG_CSGSFS] >> 48);
	s->seg[3] = (u16)host_out.ds;
	s->seg[4] = (u16)host_out.fs;
	s->seg[5] = (u16)host_out.gs;
	s->fs_base = host_out.fs_base;
	s->gs_base = host_out.gs_base;
	memcpy(&s->f, u->uc_mcontext.fpregs, sizeof s->f);
	if (!(s->f.present & 4))
		memset(s->f.ymm_high, 0, sizeof s->f.ymm_high);
	memset(&s->z, 0, sizeof s->z);
	for (unsigned i = 0; i < ARRAY_LEN(members) && components_end; i++)
		if (s->f.present >> members[i].number & 1)
			memcpy((u8 *)&s->z + members[i].at, (u8 *)u->uc_mcontext.fpregs + component[i], members[i].size);
}

static bool any(const void *p, size_t len)
{
	for (const u8 *b = p; len; len--)
		if (*b++)
			return true;
	return false;
}

static void load_fpu(const struct state *s)
{
	u32 size = components_end ? components_end : sizeof s->f;
	u64 in_use = 1 | (any(s->f.xmm, sizeof s->f.xmm) ? 2 : 0) | (any(s->f.ymm_high, sizeof s->f.ymm_high) ? 4 : 0);

	memcpy(fpu, &s->f, sizeof s->f);
	memset(fpu + 416, 0, 96);
	put32(fpu + SW_RESERVED, FP_MAGIC1);
	put32(fpu + SW_RESERVED + 4, size + 4);
	put64(fpu + SW_RESERVED + 8, components_end ? 0xe7 : 7);
	put32(fpu + SW_RESERVED + 16, size);
	memset(fpu + 512, 0, 64);
	for (unsigned i = 0; i < ARRAY_LEN(members) && components_end; i++) {
		const u8 *from = (const u8 *)&s->z + members[i].at;

		memcpy(fpu + component[i], from, members[i].size);
		in_use |= (u64)any(from, members[i].size) << members[i].number;
	}
	put64(fpu + 512, in_use); /* XINUSE */
	put32(fpu + size, FP_MAGIC2);
}

static void load_frame(ucontext_t *u, const struct state *s)
{
	static const u8 order[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
				      REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
	greg_t *g = u->uc_mcontext.gregs;

	for (unsigned i = 0; i < 16; i++)
		g[order[i]] = (greg_t)s->r[i];
	g[REG_RIP] = (greg_t)s->rip;
	g[REG_EFL] = (greg_t)s->flags;
	g[REG_CSGSFS] = (greg_t)(s->seg[1] | (u64)s->seg[2] << 48);
	load_fpu(s);
	u->uc_mcontext.fpregs = (void *)fpu;
	host_in = (struct host_segments){ s->fs_base, s->gs_base, s->seg[0],        s->seg[3],
					  s->seg[4],  s->seg[5],  s->seg[1] == 0x33 };
}

void host_landed(int number, const siginfo_t *info, const ucontext_t *u)
{
	(void)info;
	if (!result) { /* the first of all, from host_init */
		frame = *u;
		have_frame = true;
		return;
	}
	store_frame(result, u);
	result->vector = number == SIGALRM  ? HOST_TIMEOUT
			 : number == SIGSYS ? HOST_SYSCALL
					    : (int)u->uc_mcontext.gregs[REG_TRAPNO];
	result->error = (u32)u->uc_mcontext.gregs[REG_ERR];
	result->cr2 = (u64)u->uc_mcontext.gregs[REG_CR2];
}

static void find_components(void)
{
	u32 a, b, c, d;

	if (!host_avx512())
		return;
	for (unsigned i = 0; i < ARRAY_LEN(members); i++) {
		__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0xd), "c"((u32)members[i].number));
		if (a != members[i].size || b > sizeof fpu - 4 - a)
			abort();
		component[i] = b;
		components_end = components_end > a + b ? components_end : a + b;
	}
}

/* A fault of the runner or of libvcpu: the instruction is done again, and it kills the process. */
void host_stray(int number)
{
	signal(number, SIG_DFL);
}

bool host_init(const char **why)
{
	static const int signals[] = { SIGSEGV, SIGFPE, SIGILL, SIGBUS, SIGTRAP, SIGSYS };
	static const struct itimerval often = { { 0, 50000 }, { 0, 50000 } };
	struct sigaction action = { .sa_sigaction = host_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };
	stack_t alt = { .ss_sp = mmap(NULL, ALT_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			.ss_size = ALT_SIZE };

	if (!(getauxval(AT_HWCAP2) & 2)) {
		*why = "the kernel does not give FSGSBASE to programs";
		return false;
	}
	if (!(host_xcr0() & 4)) {
		*why = "the processor has no AVX";
		return false;
	}
	find_components();
	if (alt.ss_sp == MAP_FAILED || sigaltstack(&alt, NULL))
		abort();
	__asm__ volatile("rdfsbase %0" : "=r"(host_own_fs));
	for (unsigned i = 0; i < ARRAY_LEN(signals); i++)
		sigaction(signals[i], &action, NULL);
	action.sa_sigaction = host_alarm;
	action.sa_flags |= SA_RESTART;
	sigaction(SIGALRM, &action, NULL);
	/* What a frame looks like: an INT3, entered as host_enter is. */
	__asm__ volatile("push %%rbp\n"
			 "	call 1f\n"
			 "	pop %%rbp\n"
			 "	jmp 2f\n"
			 "1:	push %%rbx\n	push %%rbp\n	push %%r12\n	push %%r13\n	push %%r14\n	push %%r15\n"
			 "	mov %%rsp, host_own_stack(%%rip)\n"
			 "	movl $1, host_running(%%rip)\n"
			 "	int3\n"
			 "2:\n" : : : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
	if (!have_frame || !(frame.uc_flags & UC_FP_XSTATE)) {
		*why = "signal frames have no XSAVE image";
		return false;
	}
	frame.uc_flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	setitimer(ITIMER_REAL, &often, NULL);
	return true;
}

bool host_ldt(unsigned n, u64 descriptor)
{
	struct user_desc d = {
		.entry_number = n,
		.base_addr = (u32)(descriptor >> 16 & 0xffffff) | (u32)(descriptor >> 56) << 24,
		.limit = (u32)(descriptor & 0xffff) | (u32)(descriptor >> 48 & 15) << 16,
		.seg_32bit = descriptor >> 54 & 1,
		.contents = descriptor >> 42 & 3,
		.read_exec_only = !(descriptor >> 41 & 1),
		.limit_in_pages = descriptor >> 55 & 1,
		.seg_not_present = !(descriptor >> 47 & 1),
		.useable = descriptor >> 52 & 1,
	};

	return syscall(SYS_modify_ldt, 0x11, &d, sizeof d) == 0;
}

/* LAR and LSL say all but the base, which is 0 in every segment that Linux gives to programs (but TLS, which is not set
 * up). */
u64 host_gdt(u16 selector)
{
	u64 rights, limit;
	bool visible;

	__asm__("lar %2, %0\n\tsetz %1" : "=&r"(rights), "=qm"(visible) : "r"((u64)selector) : "cc");
	if (!visible)
		return 0;
	__asm__("lsl %2, %0\n\tsetz %1" : "=&r"(limit), "=qm"(visible) : "r"((u64)selector) : "cc");
	if (!visible)
		limit = 0;
	rights &= 0xf0ff00;
	if (rights & 0x800000)
		limit >>= 12;
	return rights << 32 | (limit & 0xffff) | (limit >> 16 & 15) << 48;
}

/* Code in the window may be anything, also a system call: they come to nothing below 4 GiB, where none of our own code
 * is. (In the end that is a SIGSYS.) */
bool host_no_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 2),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_LEN(filter), filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

void host_run(struct state *s)
{
	load_frame(&frame, s);
	result = s;
	host_enter(&frame);
}

enum maker host_maker(void)
{
	u32 a = 0, b, c, d;

	__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
	return b == 0x756e6547 /* Genu */ ? MAKER_INTEL : b == 0x68747541 /* Auth */ ? MAKER_AMD : MAKERS;
}

u64 host_xcr0(void)
{
	static u64 xcr0; /* CPUID leaves a virtual machine: it is asked for once */
	u32 a, b, c, d;

	if (xcr0)
		return xcr0;
	__asm__ volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(1), "c"(0));
	if (!(c >> 27 & 1))
		return xcr0 = 1;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return xcr0 = a | (u64)d << 32;
}

#else
bool host_init(const char **why) { *why = "not an x86-64 Linux host"; return false; }
bool host_ldt(unsigned n, u64 descriptor) { (void)n; (void)descriptor; return false; }
void host_run(struct state *s) { (void)s; }
u64 host_gdt(u16 selector) { (void)selector; return 0; }
bool host_no_system_calls(void) { return true; }
enum maker host_maker(void) { return MAKERS; }
u64 host_xcr0(void) { return 0; }
#endif
