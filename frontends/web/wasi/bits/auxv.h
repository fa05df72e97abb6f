/* SPDX-License-Identifier: MIT */
/* <elf.h> includes it, and nothing of it is needed. */
