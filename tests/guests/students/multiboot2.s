/* cause: multiboot 2 header */
	.code32
	.align 8
header:	.long 0xe85250d6, 0, end - header, -(0xe85250d6 + (end - header))
	.word 0, 0
	.long 8
end:
	.globl _start
_start:	hlt
