/* SPDX-License-Identifier: MIT */
/* Sizes in ELF cores, for their reader and their writer. */
#ifndef LIB_DUMP_H
#define LIB_DUMP_H

/* Bytes of struct QEMUCPUState (version 1) and of Linux's struct elf_prstatus on x86-64. */
enum { QEMU_STATE = 440, PRSTATUS = 336 };

#endif
