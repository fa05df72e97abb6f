/* SPDX-License-Identifier: MIT */
/* cause: selector.*0028.*beyond the limit of the GDT.*no IDT */
	.include "start.inc"
_start:	ljmp $0x28, $_start
