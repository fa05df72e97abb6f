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

/* Structures in registers, of each class. */
struct pair { int x, y; };
struct longs { long a, b; };
struct number { long n; double d; };
struct first { double d; char text[5]; };
struct floats { float x, y, z; };
struct doubles { double x, y; };
struct both { float f; int i; const char *name; };
struct shorts { short s[5]; };
union either { double d; long l; };
struct inner { struct { float f; } in[2]; unsigned char c; };
struct bits { unsigned a : 3; int b : 20; long c : 33; };
struct __attribute__((packed)) packed { char c; long l; };

#define RETURNS(type, name, ...) static struct type name(void) { return (struct type){ __VA_ARGS__ }; }
RETURNS(pair, get_pair, 1, -2)
RETURNS(longs, get_longs, -3, 4)
RETURNS(number, get_number, 5, 6.5)
RETURNS(first, get_first, 7.25, "text")
RETURNS(floats, get_floats, 1.5f, 2.5f, -3.5f)
RETURNS(doubles, get_doubles, 0.5, -0.25)
RETURNS(both, get_both, 8.5f, 9, "name")
RETURNS(shorts, get_shorts, { 10, 11, 12, -13, 14 })
RETURNS(inner, get_inner, { { 15.5f }, { 16.5f } }, 17)
RETURNS(bits, get_bits, 5, -6, 1L << 31)
RETURNS(packed, get_packed, 18, 19)
static union either get_either(void) { return (union either){ .d = 2 }; }

void kernel_main(void);

void kernel_main(void)
{
	results[0] = sum(3, "name");
	results[1] = (long)half(5);
	results[2] = pick(1)->b + byte();
	results[3] = whole(7).a;
	get_pair();
	get_longs();
	get_number();
	get_first();
	get_floats();
	get_doubles();
	get_both();
	get_shorts();
	get_inner();
	get_bits();
	get_packed();
	get_either();
}
