/* SPDX-License-Identifier: MIT */
/* Behind a tag of 20 bytes the next one needs .align 8. */
/* options: --display vga */
/* cause: a tag of type 8 and 0 bytes at offset [0-9]*, which is too short; each tag begins at a multiple of 8 */
	.code32
	.align 8
header:	.long 0xe85250d6, 0, end - header, -(0xe85250d6 + (end - header))
	.word 5, 0
	.long 20, 1024, 768, 32
	.word 0, 0
	.long 8
	.word 0, 0
	.long 8
end:
	.globl _start
_start:	hlt
