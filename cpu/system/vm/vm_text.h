/* SPDX-License-Identifier: MIT */
/* What the texts of VMX and SVM have in common (vmx_text.c). */
#ifndef CPU_VM_TEXT_H
#define CPU_VM_TEXT_H

#include <stddef.h>
#include "mem/base/bits.h"

/* LEN is what the text needs; SIZE, of the room AT, may be less. */
struct text { char *at; size_t size, len; };

__attribute__((format(printf, 2, 3))) void text_add(struct text *t, const char *format, ...);
/* An event as VMX and SVM describe it: 31 valid | 11 it has an error code | 10-8 type | 7-0 vector. Nothing if it is
 * not valid. */
void text_event(struct text *t, u32 event);
/* An instruction of IN, OUT, INS or OUTS that exits. */
void text_port(struct text *t, bool in, bool string, bool rep, unsigned size, u16 port);

#endif
