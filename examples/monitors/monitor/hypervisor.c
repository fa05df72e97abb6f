/* SPDX-License-Identifier: MIT */
/* A hypervisor of a page: VT-x with EPT, and a guest of ten instructions in real mode that has one page of memory.
 * The guest prints by port E9h, asks CPUID and halts: three kinds of exits. `monitors DIRECTORY --exits hypervisor'
 * prints what each costs.
 *
 * Try: a guest that touches another page; a guest in an endless loop, and the preemption timer. */
#include "vmcs.h"

struct processor cpu; /* here only the general registers, for vtx_enter.S */
unsigned vtx_enter(bool resume);
extern char vtx_exit[];
extern const u8 guest_code[], guest_code_end[];

__asm__("	.section .rodata\n"
	"	.code16\n"
	"guest_code:\n"
	"	mov	$8, %cx\n"
	"	mov	$'a', %bl\n"
	"1:	mov	%bl, %al\n"
	"	out	%al, $0xe9\n"
	"	inc	%bl\n"
	"	loop	1b\n"
	"	mov	$1, %ax\n"
	"	cpuid\n" /* ECX bit 31: there is a hypervisor */
	"	bt	$31, %ecx\n"
	"	setc	%al\n"
	"	add	$'0', %al\n"
	"	out	%al, $0xe9\n"
	"	hlt\n"
	"guest_code_end:\n"
	"	.code32\n"
	"	.text\n");
enum { GUEST_AT = 0x7c00 };

static u32 on_region[1024] __attribute__((aligned(PAGE))), vmcs[1024] __attribute__((aligned(PAGE)));
static u64 ept[4][512] __attribute__((aligned(PAGE)));
static u8 memory[PAGE] __attribute__((aligned(PAGE))); /* of the guest, at GUEST_AT's page */

static void start(void)
{
	u64 region = PHYSICAL(on_region), current = PHYSICAL(vmcs);

	if (!(rdmsr(MSR_FEATURES) & 1))
		__asm__ volatile("wrmsr" : : "c"(MSR_FEATURES), "a"(5), "d"(0));
	on_region[0] = vmcs[0] = (u32)rdmsr(MSR_BASIC) & 0x7fffffff;
	__asm__ volatile("mov %%cr4, %%eax; or $0x2000, %%eax; mov %%eax, %%cr4" : : : "eax");
	__asm__ volatile("vmxon %0; vmclear %1; vmptrld %1" : : "m"(region), "m"(current) : "cc", "memory");
}

static void write_controls(void)
{
	vmwrite(PIN_CONTROLS, allowed(MSR_PIN, 0));
	vmwrite(PROCESSOR_CONTROLS, allowed(MSR_PROCESSOR, PROCESSOR_HLT | PROCESSOR_PORTS | PROCESSOR_SECONDARY));
	vmwrite(SECONDARY_CONTROLS, allowed(MSR_SECONDARY, SECONDARY_EPT | SECONDARY_UNRESTRICTED));
	vmwrite(EXIT_CONTROLS, allowed(MSR_EXIT, 0));
	vmwrite(ENTRY_CONTROLS, allowed(MSR_ENTRY, 0));
	for (u32 level = 0; level < 3; level++)
		ept[level][0] = PHYSICAL(ept[level + 1]) | 7;
	ept[3][GUEST_AT / PAGE] = PHYSICAL(memory) | 0x37; /* write-back, read, write, execute */
	vmwrite(EPT_POINTER, PHYSICAL(ept[0]) | 3 << 3 | 6), vmwrite(EPT_POINTER + 1, 0);
	vmwrite(LINK_POINTER, ~0u), vmwrite(LINK_POINTER + 1, ~0u);
}

static void write_host(void)
{
	u32 cr0, cr4;

	__asm__ volatile("mov %%cr0, %0; mov %%cr4, %1" : "=r"(cr0), "=r"(cr4));
	for (u32 i = 0; i < SEGMENTS; i++)
		vmwrite(HOST_SELECTOR + i * 2, i == CS ? MONITOR_CODE : MONITOR_DATA);
	vmwrite(HOST_SELECTOR + 12, MONITOR_TASK);
	vmwrite(HOST_CR0, cr0), vmwrite(HOST_CR3, PHYSICAL(page_directory)), vmwrite(HOST_CR4, cr4);
	vmwrite(HOST_GDTR_BASE, (u32)gdt);
	vmwrite(HOST_RIP, (u32)vtx_exit);
}

static void write_guest(void)
{
	for (u32 i = 0; i < 16; i += 2) { /* ES CS SS DS FS GS LDTR TR, all at 0 */
		vmwrite(GUEST_LIMIT + i, 0xffff);
		vmwrite(GUEST_ACCESS + i, i == 2 * CS ? 0x9b : i == 12 ? 0x82 : i == 14 ? 0x8b : 0x93);
	}
	vmwrite(GUEST_CR0, 0x30), vmwrite(GUEST_CR4, 0x2000); /* ET, NE; VMXE: VT-x asks for them */
	vmwrite(GUEST_DR7, 0x400);
	vmwrite(GUEST_RFLAGS, 2);
	vmwrite(GUEST_RIP, GUEST_AT);
	__builtin_memcpy(memory + GUEST_AT % PAGE, guest_code, (size_t)(guest_code_end - guest_code));
}

static void handle_exit(u32 reason)
{
	switch (reason) {
	case EXIT_PORT:
		if (vmread(QUALIFICATION) >> 16 == 0xe9)
			out8(0xe9, (u8)cpu.r[EAX]);
		break;
	case EXIT_CPUID:
		__asm__("cpuid" : "+a"(cpu.r[EAX]), "=b"(cpu.r[EBX]), "+c"(cpu.r[ECX]), "=d"(cpu.r[EDX]));
		cpu.r[ECX] |= 1u << 31;
		break;
	case EXIT_HLT:
		finish();
	default:
		say_hex(reason), die(": an exit that the hypervisor does not know");
	}
	vmwrite(GUEST_RIP, vmread(GUEST_RIP) + vmread(EXIT_LENGTH));
}

void monitor_main(void)
{
	start();
	write_controls();
	write_host();
	write_guest();
	for (bool resume = false; !vtx_enter(resume); resume = true)
		handle_exit(vmread(EXIT_REASON) & 0x8000ffff);
	say_number(vmread(INSTRUCTION_ERROR)), die(": the entry fails");
}

void monitor_trap(void);
void monitor_trap(void) { die("an exception of the hypervisor"); }
