/* SPDX-License-Identifier: MIT */
/* cause: INT 128 .*no TSS: LTR has not been executed */
	.include "start.inc"
	.include "idt.inc"
	.include "user.inc"
_start:	load_idt handler, 8, 2047
	movw $0xee00, idt + 128 * 8 + 4
	enter_user user
user:	int $0x80
handler: hlt
