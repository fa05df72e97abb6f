/* SPDX-License-Identifier: MIT */
/* A guest to be debugged in long mode (tests/cli/debugger_gdb): what functions return, and where their arguments are. An ELF file for PVH, which enters it
 * in 32-bit protected mode without paging. */
struct large { long a, b, c; };
struct large large = { 1, -2, 3 };
long results[4];

__asm__(".section .note.pvh, \"a\", @note\n"
	"	.long	4, 4, 18\n"
	"	.asciz	\"Xen\"\n"
	"	.long	_start\n"
	"	.text\n"
	"	.code32\n"
	"	.globl	_start\n"
	"_start:	mov	$stack_top, %esp\n"
	"	movl	$directory_pointers + 7, pml4\n"
	"	movl	$directory + 7, directory_pointers\n"
	"	movl	$0x87, directory\n" /* 2 MiB, at the same address */
	"	mov	$pml4, %eax\n"
	"	mov	%eax, %cr3\n"
	"	mov	$0x620, %eax\n" /* PAE, and SSE for doubles */
	"	mov	%eax, %cr4\n"
	"	mov	$0xc0000080, %ecx\n"
	"	mov	$0x100, %eax\n" /* LME */
	"	xor	%edx, %edx\n"
	"	wrmsr\n"
	"	mov	$0x80000011, %eax\n"
	"	mov	%eax, %cr0\n"
	"	lgdt	gdt_pointer\n"
	"	ljmp	$8, $1f\n"
	"	.code64\n"
	"1:	call	kernel_main\n"
	"	cli\n"
	"	hlt\n"
	"	.balign	8\n"
	"gdt:	.quad	0, 0xaf9a000000ffff\n"
	"gdt_pointer: .word 15\n"
	"	.long	gdt\n"
	"	.bss\n"
	"	.balign	4096\n"
	"pml4:	.space	4096\n"
	"directory_pointers: .space 4096\n"
	"directory: .space 4096\n"
	"	.space	4096\n"
	"stack_top:\n"
	"	.text\n");

static long sum(long n, const char *name)
{
	return n ? n + sum(n - 1, name) : *name;
}

static double half(double d)
{
	return d / 2;
}

static struct large *pick(int i)
{
	return i ? &large : 0;
}

static struct large whole(int i)
{
	struct large l = large;

	l.a = i;
	return l;
}

static unsigned char byte(void)
{
	return 200;
}

void kernel_main(void);

void kernel_main(void)
{
	results[0] = sum(3, "name");
	results[1] = (long)half(5);
	results[2] = pick(1)->b + byte();
	results[3] = whole(7).a;
}
