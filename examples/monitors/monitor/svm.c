/* SPDX-License-Identifier: MIT */
/* SVM (AMD64 Architecture Programmer's Manual, vol. 2, chapter 15 and appendix B) with nested paging: the same
 * monitor as vtx.c with EPT. The guest's state is a structure in memory, the VMCB, not fields behind instructions.
 * The nested page tables have the format of the monitor's own: a directory with one page of 4 MiB is all.
 *
 * Try: shadow page tables in place of nested ones, as vtx.c has them. */
#include "monitor.h"

struct vmcb_segment { u16 selector, attributes; u32 limit; u64 base; };
static struct vmcb {
	u32 control_registers, debug_registers, exceptions, intercepts, instructions, unused[11];
	u64 ports, msrs, tsc_offset; /* 40h */
	u32 asid, tlb;
	u8 v_tpr, v_irq, v_priority, v_masking, v_vector, reserved[3]; /* 60h */
	u64 shadow, exit, info1, info2, exit_event, nested, unused2[2]; /* 68h */
	u64 event, nested_cr3, virtualization; /* a8h */
	u64 clean, next_eip, unused4[102]; /* c0h */
	struct vmcb_segment seg[6], gdtr, ldtr, idtr, tr; /* 400h */
	u8 unused5[43], level; /* 4a0h */
	u32 unused6;
	u64 efer, unused7[14], cr4, cr3, cr0, dr7, dr6, rflags, rip, unused8[11], rsp, unused9[3], rax; /* 4d0h */
	u64 unused10[8], cr2, unused11[4], pat; /* 600h */
	u8 rest[PAGE - 0x670];
} guest __attribute__((aligned(PAGE))), host __attribute__((aligned(PAGE)));
_Static_assert(offsetof(struct vmcb, ports) == 0x40 && offsetof(struct vmcb, shadow) == 0x68 &&
		       offsetof(struct vmcb, event) == 0xa8 && offsetof(struct vmcb, seg) == 0x400 &&
		       offsetof(struct vmcb, level) == 0x4cb && offsetof(struct vmcb, cr0) == 0x558 &&
		       offsetof(struct vmcb, rip) == 0x578 && offsetof(struct vmcb, rax) == 0x5f8 &&
		       offsetof(struct vmcb, pat) == 0x668 && sizeof(struct vmcb) == PAGE,
	       "VMCB");

static u8 host_area[PAGE] __attribute__((aligned(PAGE))), permissions[3 * PAGE] __attribute__((aligned(PAGE)));
static u32 nested[1024] __attribute__((aligned(PAGE)));
enum {
	INTERCEPT_INTR = 1,
	INTERCEPT_VINTR = 1 << 4,
	INTERCEPT_HLT = 1 << 24,
	INTERCEPT_PORT = 1 << 27,
	INTERCEPT_MSR = 1 << 28
};
#define INTERCEPT_SHUTDOWN 0x80000000u
enum {
	EXIT_INTR = 0x60,
	EXIT_VINTR = 0x64,
	EXIT_HLT = 0x78,
	EXIT_PORT = 0x7b,
	EXIT_SHUTDOWN = 0x7f,
	EXIT_NESTED = 0x400
};
enum { MSR_EFER = 0xc0000080, EFER_SVME = 0x1000 };
#define MSR_HOST_AREA 0xc0010117
#define EVENT_VALID 0x80000000u

void svm_enter(u32 guest, u32 host);

/* ---- the guest's state: between the VMCB and `cpu' ---- */

static void read_segment(struct segment *s, const struct vmcb_segment *v)
{
	*s = (struct segment){ v->selector, (u32)v->base, v->limit,
			       (v->attributes & 0xffu) | (v->attributes & 0xf00u) << 4 };
}

static void write_segment(struct vmcb_segment *v, const struct segment *s)
{
	*v = (struct vmcb_segment){ (u16)s->selector, (u16)((s->access & 0xff) | (s->access >> 4 & 0xf00)), s->limit,
				    s->base };
}

static void read_state(void)
{
	for (u32 i = 0; i < SEGMENTS; i++)
		read_segment(&cpu.seg[i], &guest.seg[i]);
	read_segment(&cpu.ldtr, &guest.ldtr);
	read_segment(&cpu.tr, &guest.tr);
	cpu.gdtr = (struct table){ (u32)guest.gdtr.base, guest.gdtr.limit };
	cpu.idtr = (struct table){ (u32)guest.idtr.base, guest.idtr.limit };
	cpu.r[EAX] = (u32)guest.rax, cpu.r[ESP] = (u32)guest.rsp, cpu.eip = (u32)guest.rip,
	cpu.eflags = (u32)guest.rflags;
	cpu.cr0 = (u32)guest.cr0, cpu.cr2 = (u32)guest.cr2, cpu.cr3 = (u32)guest.cr3, cpu.cr4 = (u32)guest.cr4;
	cpu.inhibit = false;
}

static void write_state(void)
{
	for (u32 i = 0; i < SEGMENTS; i++)
		write_segment(&guest.seg[i], &cpu.seg[i]);
	write_segment(&guest.ldtr, &cpu.ldtr);
	write_segment(&guest.tr, &cpu.tr);
	guest.gdtr.base = cpu.gdtr.base, guest.gdtr.limit = cpu.gdtr.limit;
	guest.idtr.base = cpu.idtr.base, guest.idtr.limit = cpu.idtr.limit;
	guest.rax = cpu.r[EAX], guest.rsp = cpu.r[ESP], guest.rip = cpu.eip, guest.rflags = cpu.eflags;
	guest.cr0 = cpu.cr0, guest.cr2 = cpu.cr2, guest.cr3 = cpu.cr3, guest.cr4 = cpu.cr4;
	guest.level = (u8)cpl();
	guest.shadow = 0;
}

static void interpret_guest(void)
{
	read_state();
	interpret();
	write_state();
}

static void halt(void)
{
	read_state();
	interpret();
	while (interrupt_pending() < 0)
		wait_for_interrupt();
	cpu.halted = false;
	write_state();
}

static void start(void)
{
	u32 low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(MSR_EFER));
	__asm__ volatile("wrmsr" : : "c"(MSR_EFER), "a"(low | EFER_SVME), "d"(high));
	__asm__ volatile("wrmsr" : : "c"(MSR_HOST_AREA), "a"(PHYSICAL(host_area)), "d"(0));
	__asm__ volatile("vmsave %0" : : "a"(PHYSICAL(&host)) : "memory");
	__builtin_memset(permissions, 0xff, sizeof permissions);
	nested[0] = GUEST_BASE | 0x87; /* 4 MiB: present, writable, user */
	guest.intercepts =
		INTERCEPT_INTR | INTERCEPT_HLT | INTERCEPT_PORT | INTERCEPT_MSR | INTERCEPT_SHUTDOWN;
	guest.instructions = 0x3fff; /* VMRUN, the other instructions of SVM, and what else has a bit there */
	guest.ports = guest.msrs = PHYSICAL(permissions);
	guest.asid = 1;
	guest.v_masking = 1;
	guest.nested = 1;
	guest.nested_cr3 = PHYSICAL(nested);
	guest.pat = 0x0007040600070406;
	guest.efer = EFER_SVME;
	guest.dr6 = 0xffff0ff0, guest.dr7 = 0x400;
	write_state();
}

/* An interrupt for the guest, or an exit when it can take one. An event that an exit has interrupted comes first. */
static void give_interrupt(void)
{
	bool pending;

	guest.event = guest.exit_event & EVENT_VALID ? guest.exit_event : 0;
	if (!guest.event && interrupt_pending() >= 0 && guest.rflags & FLAG_IF && !guest.shadow)
		guest.event = EVENT_VALID | (u32)interrupt_accept();
	pending = interrupt_pending() >= 0;
	guest.v_irq = pending;
	guest.v_priority = pending ? 0x1f : 0; /* the highest, and without regard to the TPR */
	guest.intercepts = (guest.intercepts & ~(u32)INTERCEPT_VINTR) | (pending ? INTERCEPT_VINTR : 0);
}

static void handle_exit(u32 code)
{
	static const char *const ports[] = { "out", "in", "outs", "ins" };

	switch (code) {
	case EXIT_INTR: __asm__ volatile("sti; nop; cli" : : : "memory"); break; /* counted there */
	case EXIT_VINTR: count("interrupt window"); break;
	case EXIT_HLT: count("hlt"), halt(); break;
	case EXIT_PORT: count(ports[(guest.info1 & 1) | (guest.info1 >> 1 & 2)]), interpret_guest(); break;
	case EXIT_NESTED: count("nested page fault"), interpret_guest(); break;
	case EXIT_SHUTDOWN: read_state(), die("the guest has a triple fault");
	default: read_state(), say_hex(code), die(": an exit that the monitor does not know");
	}
}

void monitor_main(void)
{
	boot_guest();
	start();
	for (;;) {
		give_interrupt();
		svm_enter(PHYSICAL(&guest), PHYSICAL(&host));
		cpu.r[EAX] = (u32)guest.rax;
		handle_exit((u32)guest.exit);
	}
}
