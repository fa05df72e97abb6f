/* SPDX-License-Identifier: MIT */
/* VT-x (SDM vol. 3, chapters 23 to 28): the guest's kernel runs at CPL 0 in VMX non-root operation. With EPT = 0,
 * the monitor keeps shadow page tables, so page faults, CR3 and INVLPG exit. With EPT = 1, the guest has its own
 * page tables, and the processor translates their addresses once more.
 *
 * Try: I/O bitmaps that give the guest port E9h; more sectors for a disk in memory. Which exits are left? */
#include "vmcs.h"

unsigned vtx_enter(bool resume);
extern char vtx_exit[];

static u32 on_region[1024] __attribute__((aligned(PAGE))), vmcs[1024] __attribute__((aligned(PAGE)));
static u64 ept[3][512] __attribute__((aligned(PAGE)));
static u32 processor_controls;
enum { CR0_FIXED = 0x20, CR4_FIXED = 0x2000 }; /* NE, VMXE */

/* ---- the guest's state: between the VMCS and `cpu' ---- */

static void read_segment(struct segment *s, u32 n)
{
	s->selector = vmread(GUEST_SELECTOR + n);
	s->base = vmread(GUEST_BASE_OF + n);
	s->limit = vmread(GUEST_LIMIT + n);
	s->access = vmread(GUEST_ACCESS + n) & 0xffff;
}

static void write_segment(const struct segment *s, u32 n)
{
	vmwrite(GUEST_SELECTOR + n, s->selector);
	vmwrite(GUEST_BASE_OF + n, s->base);
	vmwrite(GUEST_LIMIT + n, s->limit);
	vmwrite(GUEST_ACCESS + n, s->access ? s->access : 0x10000); /* unusable */
}

static void read_state(void)
{
	for (u32 i = 0; i < SEGMENTS; i++)
		read_segment(&cpu.seg[i], i * 2);
	read_segment(&cpu.ldtr, 12);
	read_segment(&cpu.tr, 14);
	cpu.gdtr = (struct table){ vmread(GUEST_GDTR_BASE), vmread(GUEST_GDTR_LIMIT) };
	cpu.idtr = (struct table){ vmread(GUEST_IDTR_BASE), vmread(GUEST_IDTR_LIMIT) };
	cpu.r[ESP] = vmread(GUEST_RSP);
	cpu.eip = vmread(GUEST_RIP);
	cpu.eflags = vmread(GUEST_RFLAGS);
	if (EPT) { /* else the monitor interprets each write of a control register */
		cpu.cr0 = vmread(GUEST_CR0) & ~(u32)CR0_FIXED;
		cpu.cr3 = vmread(GUEST_CR3);
		cpu.cr4 = vmread(GUEST_CR4) & ~(u32)CR4_FIXED;
	}
	cpu.inhibit = false;
}

static void write_state(void)
{
	for (u32 i = 0; i < SEGMENTS; i++)
		write_segment(&cpu.seg[i], i * 2);
	write_segment(&cpu.ldtr, 12);
	write_segment(&cpu.tr, 14);
	vmwrite(GUEST_GDTR_BASE, cpu.gdtr.base), vmwrite(GUEST_GDTR_LIMIT, cpu.gdtr.limit);
	vmwrite(GUEST_IDTR_BASE, cpu.idtr.base), vmwrite(GUEST_IDTR_LIMIT, cpu.idtr.limit);
	vmwrite(GUEST_RSP, cpu.r[ESP]);
	vmwrite(GUEST_RIP, cpu.eip);
	vmwrite(GUEST_RFLAGS, cpu.eflags);
	vmwrite(GUEST_INTERRUPTIBILITY, 0);
	vmwrite(GUEST_CR0, cpu.cr0 | CR0_FIXED | (EPT ? 0 : CR0_PG | CR0_WP));
	vmwrite(GUEST_CR3, EPT ? cpu.cr3 : shadow_directory());
	vmwrite(GUEST_CR4, cpu.cr4 | CR4_FIXED);
	vmwrite(CR0_SHADOW, cpu.cr0);
	vmwrite(CR4_SHADOW, cpu.cr4);
}

static void interpret_guest(void)
{
	read_state();
	interpret();
	write_state();
}

/* ---- the monitor's own part of the VMCS ---- */

static void write_controls(void)
{
	processor_controls =
		PROCESSOR_HLT | PROCESSOR_PORTS | (EPT ? PROCESSOR_SECONDARY : PROCESSOR_CR3 | PROCESSOR_INVLPG);
	vmwrite(PIN_CONTROLS, allowed(MSR_PIN, PIN_INTERRUPTS));
	vmwrite(PROCESSOR_CONTROLS, allowed(MSR_PROCESSOR, processor_controls));
	vmwrite(EXIT_CONTROLS, allowed(MSR_EXIT, 0));
	vmwrite(ENTRY_CONTROLS, allowed(MSR_ENTRY, 0));
	vmwrite(LINK_POINTER, ~0u), vmwrite(LINK_POINTER + 1, ~0u);
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(CR0_MASK, EPT ? CR0_FIXED : ~0u);
	vmwrite(CR4_MASK, EPT ? CR4_FIXED : ~0u);
	if (!EPT) {
		vmwrite(EXCEPTIONS, 1 << 14);
		return;
	}
	vmwrite(SECONDARY_CONTROLS, allowed(MSR_SECONDARY, SECONDARY_EPT | SECONDARY_UNRESTRICTED));
	ept[0][0] = PHYSICAL(ept[1]) | 7;
	ept[1][0] = PHYSICAL(ept[2]) | 7;
	for (u32 i = 0; i < GUEST_RAM >> 21; i++)
		ept[2][i] = (GUEST_BASE + (i << 21)) | 0xb7; /* 2 MiB, write-back, read, write, execute */
	vmwrite(EPT_POINTER, PHYSICAL(ept[0]) | 3 << 3 | 6);
	vmwrite(EPT_POINTER + 1, 0);
}

static void write_host(void)
{
	struct { u16 limit; u32 base; } __attribute__((packed)) idtr;
	u32 cr0, cr4;

	__asm__ volatile("sidt %0; mov %%cr0, %1; mov %%cr4, %2" : "=m"(idtr), "=r"(cr0), "=r"(cr4));
	for (u32 i = 0; i < SEGMENTS; i++)
		vmwrite(HOST_SELECTOR + i * 2, i == CS ? MONITOR_CODE : MONITOR_DATA);
	vmwrite(HOST_SELECTOR + 12, MONITOR_TASK);
	vmwrite(HOST_CR0, cr0), vmwrite(HOST_CR3, PHYSICAL(page_directory)), vmwrite(HOST_CR4, cr4);
	vmwrite(HOST_TR_BASE, (u32)&task);
	vmwrite(HOST_GDTR_BASE, (u32)gdt);
	vmwrite(HOST_IDTR_BASE, idtr.base);
	vmwrite(HOST_RIP, (u32)vtx_exit);
}

static void start(void)
{
	u64 region = PHYSICAL(on_region), current = PHYSICAL(vmcs);
	u8 failed;

	if (!(rdmsr(MSR_FEATURES) & 1)) /* not locked */
		__asm__ volatile("wrmsr" : : "c"(MSR_FEATURES), "a"(5), "d"(0));
	on_region[0] = vmcs[0] = (u32)rdmsr(MSR_BASIC) & 0x7fffffff;
	__asm__ volatile("mov %%cr4, %%eax; or $0x2000, %%eax; mov %%eax, %%cr4" : : : "eax");
	__asm__ volatile("vmxon %1; setna %0" : "=q"(failed) : "m"(region) : "cc", "memory");
	if (failed)
		die("VMXON fails");
	__asm__ volatile("vmclear %0; vmptrld %0" : : "m"(current) : "cc", "memory");
	write_controls();
	write_host();
	if (!EPT)
		shadow_init(false, false);
	write_state();
}

/* ---- events ---- */

static void inject(u32 event, u32 error)
{
	vmwrite(ENTRY_EVENT, event);
	vmwrite(ENTRY_ERROR, error);
	vmwrite(ENTRY_LENGTH, vmread(EXIT_LENGTH));
}

/* An interrupt for the guest, or an exit when it can take one. An event that an exit has interrupted comes first. */
static void give_interrupt(void)
{
	u32 vectoring = vmread(VECTORING_EVENT), controls = processor_controls;

	if (vectoring & 0x80000000 && !(vmread(ENTRY_EVENT) & 0x80000000)) {
		inject(vectoring & ~0x1000u, vmread(VECTORING_ERROR));
	} else if (interrupt_pending() >= 0 && !(vmread(ENTRY_EVENT) & 0x80000000)) {
		if (vmread(GUEST_RFLAGS) & FLAG_IF && !(vmread(GUEST_INTERRUPTIBILITY) & 3))
			inject(0x80000000 | (u32)interrupt_accept(), 0);
		else
			controls |= PROCESSOR_WINDOW;
	}
	vmwrite(PROCESSOR_CONTROLS, allowed(MSR_PROCESSOR, controls));
}

static void page_fault(void)
{
	u32 linear = vmread(QUALIFICATION), error = vmread(EXIT_ERROR);

	switch (shadow_fault(linear, error & (ACCESS_WRITE | ACCESS_USER), &error)) {
	case SHADOW_FILLED: count("page faults: shadow"); break;
	case SHADOW_HOLE: count("page faults: no page"), interpret_guest(); break;
	case SHADOW_FAULT:
		count("page faults: the guest's");
		__asm__ volatile("mov %0, %%cr2" : : "r"(linear));
		inject(0x80000b0e, error);
		break;
	}
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

/* CPUID always exits. */
static void identify(void)
{
	__asm__("cpuid" : "+a"(cpu.r[EAX]), "=b"(cpu.r[EBX]), "+c"(cpu.r[ECX]), "=d"(cpu.r[EDX]));
	vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(EXIT_LENGTH));
}

static void handle_exit(u32 reason)
{
	static const char *const ports[] = { "out", "in", "outs", "ins" };

	switch (reason) {
	case EXIT_EXCEPTION: page_fault(); break;
	case EXIT_INTERRUPT: __asm__ volatile("sti; nop; cli" : : : "memory"); break; /* counted there */
	case EXIT_WINDOW: count("interrupt window"); break;
	case EXIT_CPUID: count("cpuid"), identify(); break;
	case EXIT_HLT: count("hlt"), halt(); break;
	case EXIT_INVLPG: count("invlpg"), interpret_guest(); break;
	case EXIT_CR: count("mov cr"), interpret_guest(); break;
	case EXIT_PORT: count(ports[vmread(QUALIFICATION) >> 3 & 3]), interpret_guest(); break;
	case EXIT_EPT: count("EPT violation"), interpret_guest(); break;
	case EXIT_TRIPLE_FAULT: read_state(), die("the guest has a triple fault");
	default: read_state(), say_hex(reason), die(": an exit that the monitor does not know");
	}
}

void monitor_main(void)
{
	bool resume = false;

	boot_guest();
	start();
	for (;;) {
		give_interrupt();
		if (vtx_enter(resume)) {
			say_number(vmread(INSTRUCTION_ERROR));
			die(": the entry fails");
		}
		resume = true;
		handle_exit(vmread(EXIT_REASON) & 0x8000ffff);
	}
}
