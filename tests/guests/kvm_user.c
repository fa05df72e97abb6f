/* SPDX-License-Identifier: MIT */
/* A program of a Linux guest that runs a virtual machine of its own through /dev/kvm (Linux's
 * Documentation/virt/kvm/api.rst): 16-bit code in real mode, 64-bit code with page tables of its own, and the time that
 * exits cost: OUT and HLT, which this program handles, CPUID, RDMSR and EPT violations, which KVM does. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include "kvm_calls.h"

/* Physical addresses of the virtual machine. In long mode LINEAR is physical address 0, in two pages of 2 MiB. There is
 * no memory behind the second one. */
enum { MEMORY = 1 << 21, CODE = 0x8000, PML4 = 0x1000, PDPT = 0x2000, DIRECTORY = 0x3000 };
#define LINEAR 0x123440000000 /* tests/guests/kvm has it, too */
enum { PORT = 0x42, TIMES = 1000, PAGES = 256 /* that nothing has touched before */ };

__asm__("	.section .rodata\n"
	"	.code16\n"
	"real_mode:\n"
	"	mov	$(message - real_mode + 0x8000), %si\n"
	"	mov	$0x42, %dx\n"
	"1:	lodsb\n"
	"	test	%al, %al\n"
	"	jz	2f\n"
	"	outb	%al, %dx\n"
	"	jmp	1b\n"
	"2:	mov	$0x1234, %ax\n"
	"	hlt\n"
	"message: .asciz \"16 bits\"\n"
	"real_mode_end:\n"
	"	.code64\n"
	"long_mode:\n"
	"	mov	$100000, %ecx\n"
	"	xor	%eax, %eax\n"
	"1:	add	%rcx, %rax\n"
	"	dec	%rcx\n"
	"	jnz	1b\n"
	"	movabs	$0x123440200340, %rsi\n"
	"	add	(%rsi), %rax\n"
	"	mov	%rax, 8(%rsi)\n"
	"	hlt\n"
	"	mov	$1000, %ecx\n"
	"2:	out	%al, $0x42\n"
	"	dec	%ecx\n"
	"	jnz	2b\n"
	"	hlt\n"
	"	mov	$1000, %esi\n"
	"	movabs	$0x123440003ff8, %rdi\n" /* tests/guests/kvm looks for this write */
	"	mov	%rsi, (%rdi)\n"
	"3:	xor	%eax, %eax\n"
	"	cpuid\n"
	"	dec	%esi\n"
	"	jnz	3b\n"
	"	hlt\n"
	"	mov	$1000, %esi\n"
	"	mov	$0x1b, %ecx\n"
	"4:	rdmsr\n"
	"	dec	%esi\n"
	"	jnz	4b\n"
	"	hlt\n"
	"	movabs	$0x123440080000, %rdi\n"
	"	mov	$256, %esi\n"
	"5:	mov	(%rdi), %al\n"
	"	add	$4096, %rdi\n"
	"	dec	%esi\n"
	"	jnz	5b\n"
	"	hlt\n"
	"	mov	$1000, %esi\n"
	"6:	hlt\n"
	"	dec	%esi\n"
	"	jnz	6b\n"
	"long_mode_end:\n"
	"	.text\n");
extern const char real_mode[], real_mode_end[], long_mode[], long_mode_end[];

static int vcpu;
static struct kvm_run *run;
static unsigned exits;

static char *create(void)
{
	int kvm = checked(open("/dev/kvm", O_RDWR), "/dev/kvm");
	int vm = checked(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	char *memory = map(MEMORY, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY, .userspace_addr = (unsigned long)memory };

	printf("kvm: API %d\n", ioctl(kvm, KVM_GET_API_VERSION, 0));
	checked(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	vcpu = checked(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	run = map(checked(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"), MAP_SHARED, vcpu);
	return memory;
}

/* Run up to an exit for the reason WANTED. */
static void run_to(unsigned wanted)
{
	checked(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
	exits++;
	if (run->exit_reason != wanted) {
		printf("kvm: exit %u, expected %u\n", run->exit_reason, wanted);
		exit(1);
	}
}

static struct kvm_regs registers(void)
{
	struct kvm_regs r;

	checked(ioctl(vcpu, KVM_GET_REGS, &r), "KVM_GET_REGS");
	return r;
}

static void start(unsigned long rip, const struct kvm_sregs *s)
{
	struct kvm_regs r = { .rip = rip, .rflags = 2 };

	checked(ioctl(vcpu, KVM_SET_SREGS, s), "KVM_SET_SREGS");
	checked(ioctl(vcpu, KVM_SET_REGS, &r), "KVM_SET_REGS");
}

static void run_real_mode(char *memory, struct kvm_sregs s)
{
	struct kvm_regs r;

	memcpy(memory + CODE, real_mode, real_mode_end - real_mode);
	s.cs.base = s.cs.selector = 0;
	start(CODE, &s);
	printf("kvm: real mode: ");
	for (int i = 0; i < 7; i++) {
		run_to(KVM_EXIT_IO);
		if (run->io.direction != KVM_EXIT_IO_OUT || run->io.port != PORT || run->io.size != 1 ||
		    run->io.count != 1)
			printf("(port %x)", run->io.port);
		putchar(((char *)run)[run->io.data_offset]);
	}
	run_to(KVM_EXIT_HLT);
	r = registers();
	printf(", ax %llx, dx %llx, ip %llx\n", r.rax, r.rdx, r.rip);
}

static void run_long_mode(char *memory, struct kvm_sregs s)
{
	unsigned long *m = (unsigned long *)memory, value;
	struct kvm_segment code = { .limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1 };
	struct kvm_segment data = { .limit = ~0u, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 };

	memcpy(memory + CODE, long_mode, long_mode_end - long_mode);
	m[PML4 / 8 + (LINEAR >> 39 & 511)] = PDPT + 3;
	m[PDPT / 8 + (LINEAR >> 30 & 511)] = DIRECTORY + 3;
	m[DIRECTORY / 8] = 0x83;
	m[DIRECTORY / 8 + 1] = MEMORY + 0x83;
	s.cs = code;
	s.ds = s.es = s.ss = data;
	s.cr3 = PML4;
	s.cr4 = 0x20;
	s.cr0 = 0x80000001;
	s.efer = 0x500;
	start(LINEAR + CODE, &s);

	run_to(KVM_EXIT_MMIO);
	printf("kvm: long mode: %s of %u bytes at %llx", run->mmio.is_write ? "write" : "read", run->mmio.len,
	       run->mmio.phys_addr);
	value = 1000000000000;
	memcpy(run->mmio.data, &value, sizeof value);
	run_to(KVM_EXIT_MMIO);
	memcpy(&value, run->mmio.data, sizeof value);
	printf(", %s of %u bytes at %llx: %lu\n", run->mmio.is_write ? "write" : "read", run->mmio.len,
	       run->mmio.phys_addr, value);
	run_to(KVM_EXIT_HLT);
	printf("kvm: long mode: rax %llu, rcx %llu\n", registers().rax, registers().rcx);
}

/* RUNS times to an exit for REASON; on the way there are N exits for WHAT. */
static void measure(const char *what, unsigned reason, int runs, unsigned n)
{
	unsigned long long begin = __builtin_ia32_rdtsc();

	for (int i = 0; i < runs; i++)
		run_to(reason);
	printf("kvm: cost of %s: %llu ticks\n", what, (__builtin_ia32_rdtsc() - begin) / n);
}

static void measure_all(void)
{
	measure("OUT", KVM_EXIT_IO, TIMES, TIMES);
	run_to(KVM_EXIT_HLT);
	measure("CPUID", KVM_EXIT_HLT, 1, TIMES);
	measure("RDMSR", KVM_EXIT_HLT, 1, TIMES);
	measure("an EPT violation", KVM_EXIT_HLT, 1, PAGES);
	measure("HLT", KVM_EXIT_HLT, TIMES, TIMES);
}

int main(void)
{
	char *memory = create();
	struct kvm_sregs s;

	checked(ioctl(vcpu, KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	run_real_mode(memory, s);
	run_long_mode(memory, s);
	measure_all();
	printf("kvm: %u exits\n", exits);
	return 0;
}
