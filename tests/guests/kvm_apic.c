/* SPDX-License-Identifier: MIT */
/* A program of a Linux guest that runs a virtual machine of two processors with KVM's local APICs: IPIs of a processor
 * to itself and to the other, the TPR, the timer. It prints how many exits 1000 IPIs took, which are few
 * with SVM's AVIC. */
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "kvm_calls.h"

/* Physical addresses of the virtual machine, whose code has 32 bits and no paging. COUNTS: interrupts of the vectors
 * 40h to 42h, and 1 if the second processor is ready. */
enum { MEMORY = 1 << 16, IDT = 0x1000, GDT = 0x2000, COUNTS = 0x3000, STACK = 0x6000, CODE = 0x8000, PORT = 0x42,
       VECTORS = 3, VECTOR = 0x40 };

__asm__("	.section .rodata\n"
	"	.code32\n"
	"code:\n"
	"	movl	$0x1ff, 0xfee000f0\n"
	"	sti\n"
	"	mov	$1000, %ecx\n"
	"1:	movl	$0x40040, 0xfee00300\n" /* to itself */
	"	dec	%ecx\n"
	"	jnz	1b\n"
	"2:	pause\n"
	"	cmpl	$1000, 0x3000\n"
	"	jne	2b\n"
	"	out	%al, $0x42\n"
	"	movl	$0x50, 0xfee00080\n"
	"	movl	$0x40040, 0xfee00300\n"
	"	mov	$1000, %ecx\n"
	"3:	loop	3b\n"
	"	mov	0x3000, %eax\n"
	"	movl	$0, 0xfee00080\n"
	"4:	pause\n"
	"	cmp	%eax, 0x3000\n"
	"	je	4b\n"
	"	mov	0x3000, %ebx\n"
	"	movl	$0x0b, 0xfee003e0\n" /* the timer */
	"	movl	$0x42, 0xfee00320\n"
	"	movl	$100000, 0xfee00380\n"
	"5:	pause\n"
	"	cmpl	$1, 0x3008\n"
	"	jne	5b\n"
	"	out	%al, $0x42\n"
	"6:	pause\n"
	"	cmpl	$1, 0x300c\n"
	"	jne	6b\n"
	"	xor	%ebx, %ebx\n"
	"7:	inc	%ebx\n"
	"	movl	$0x01000000, 0xfee00310\n" /* to APIC ID 1 */
	"	movl	$0x41, 0xfee00300\n"
	"8:	pause\n"
	"	cmp	%ebx, 0x3004\n"
	"	jne	8b\n"
	"	cmp	$10, %ebx\n"
	"	jne	7b\n"
	"	out	%al, $0x42\n"
	"second:\n"
	"	movl	$0x1ff, 0xfee000f0\n"
	"	movl	$1, 0x300c\n"
	"	sti\n"
	"9:	pause\n"
	"	cmpl	$10, 0x3004\n"
	"	jne	9b\n"
	"	out	%al, $0x42\n"
	"	.balign	16\n"
	"handlers:\n"
	"	incl	0x3000\n"
	"	jmp	1f\n"
	"	.balign	16\n"
	"	incl	0x3004\n"
	"	jmp	1f\n"
	"	.balign	16\n"
	"	incl	0x3008\n"
	"1:	movl	$0, 0xfee000b0\n"
	"	iret\n"
	"code_end:\n"
	"	.code64\n"
	"	.text\n");
extern const char code[], second[], handlers[], code_end[];

static int kvm, vm, vcpu[2];
static struct kvm_run *run[2];

static void create_processor(int n, unsigned long rip)
{
	struct kvm_segment code32 = { .limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .db = 1, .g = 1 };
	struct kvm_segment data = { .limit = ~0u, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1 };
	struct kvm_regs r = { .rip = rip, .rflags = 2, .rsp = STACK + 0x1000 * n };
	struct kvm_mp_state runs = { KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs s;

	vcpu[n] = checked(ioctl(vm, KVM_CREATE_VCPU, n), "KVM_CREATE_VCPU");
	run[n] = map(checked(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE"), MAP_SHARED, vcpu[n]);
	checked(ioctl(vcpu[n], KVM_GET_SREGS, &s), "KVM_GET_SREGS");
	s.cs = code32;
	s.ds = s.es = s.ss = data;
	s.cr0 = 0x11;
	s.gdt.base = GDT;
	s.gdt.limit = 23;
	s.idt.base = IDT;
	s.idt.limit = 8 * (VECTOR + VECTORS) - 1;
	checked(ioctl(vcpu[n], KVM_SET_SREGS, &s), "KVM_SET_SREGS");
	checked(ioctl(vcpu[n], KVM_SET_REGS, &r), "KVM_SET_REGS");
	checked(ioctl(vcpu[n], KVM_SET_MP_STATE, &runs), "KVM_SET_MP_STATE");
}

static unsigned *create(void)
{
	char *memory = map(MEMORY, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	struct kvm_userspace_memory_region region = { .memory_size = MEMORY, .userspace_addr = (unsigned long)memory };
	unsigned long *gdt = (unsigned long *)(memory + GDT), *idt = (unsigned long *)(memory + IDT);

	kvm = checked(open("/dev/kvm", O_RDWR), "/dev/kvm");
	vm = checked(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	checked(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	checked(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	memcpy(memory + CODE, code, (size_t)(code_end - code));
	gdt[1] = 0x00cf9b000000ffff;
	gdt[2] = 0x00cf93000000ffff;
	for (unsigned i = 0; i < VECTORS; i++) {
		unsigned long at = CODE + (unsigned long)(handlers - code) + 16 * i;

		idt[VECTOR + i] = (at & 0xffff) | 8 << 16 | 0x8e00ul << 32 | at >> 16 << 48;
	}
	create_processor(0, CODE);
	create_processor(1, CODE + (unsigned long)(second - code));
	return (unsigned *)(memory + COUNTS);
}

/* Up to the next OUT of processor N. */
static void run_to_out(int n)
{
	checked(ioctl(vcpu[n], KVM_RUN, 0), "KVM_RUN");
	if (run[n]->exit_reason != KVM_EXIT_IO || run[n]->io.port != PORT) {
		printf("kvm: exit %u\n", run[n]->exit_reason);
		exit(1);
	}
}

static void *run_second(void *unused)
{
	run_to_out(1);
	return unused;
}

/* Of processor 0, as KVM counts them; 0: KVM does not tell. */
static unsigned long exits(void)
{
	int fd = ioctl(vcpu[0], KVM_GET_STATS_FD, NULL);
	struct kvm_stats_header head;
	unsigned long n = 0;

	if (fd < 0 || pread(fd, &head, sizeof head, 0) != sizeof head)
		return 0;
	for (unsigned i = 0; i < head.num_desc; i++) {
		char room[sizeof(struct kvm_stats_desc) + 64];
		struct kvm_stats_desc *d = (struct kvm_stats_desc *)room;
		size_t size = sizeof *d + head.name_size;

		if (size <= sizeof room &&
		    pread(fd, room, size, (off_t)(head.desc_offset + i * size)) == (ssize_t)size &&
		    !strcmp(room + sizeof *d, "exits"))
			n = pread(fd, &n, sizeof n, head.data_offset + d->offset) == sizeof n ? n : 0;
	}
	close(fd);
	return n;
}

int main(void)
{
	unsigned *counts = create();
	struct kvm_regs r;
	pthread_t other;

	run_to_out(0);
	printf("kvm: %u IPIs to itself, %lu exits\n", counts[0], exits());
	run_to_out(0);
	checked(ioctl(vcpu[0], KVM_GET_REGS, &r), "KVM_GET_REGS");
	printf("kvm: interrupts with the TPR at 50h: %llu, at 0: %llu; of the timer: %u\n", r.rax, r.rbx, counts[2]);
	pthread_create(&other, NULL, run_second, NULL);
	run_to_out(0);
	pthread_join(other, NULL);
	printf("kvm: %u IPIs to the other\n", counts[1]);
	return 0;
}
