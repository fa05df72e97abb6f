/* SPDX-License-Identifier: MIT */
/* Two 8259A interrupt controllers, cascaded as in a PC (Intel 8259A data sheet; PIIX4 data sheet for the ELCR).
 *
 *      IR0 timer ---> +--------+            IR8 RTC  ---> +-------+
 *      IR1 keyboard > | master | --> INTR   IR9 SCI  ---> | slave |
 *      IR2 <--------- | 20h    | <------- INT of slave -- | A0h   |
 *      IR3..IR7 ----> +--------+            IR10..15 ---> +-------+
 *
 * Edge or level is chosen by the ELCR alone (4D0h, 4D1h); LTIM of ICW1 is remembered but has no effect, as in the PIIX.
 *
 * Not modelled: the MCS-80/85 mode, buffered mode, the time between a request and INTR. */
#ifndef IO_PIC_H
#define IO_PIC_H

#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/base/log.h"
#include "mem/space.h"

struct pic;

/* Takes ports 20h-21h, A0h-A1h, 4D0h-4D1h. INTR is high while an unmasked request waits. NULL: no memory. */
struct pic *pic_new(struct space *ports, struct line intr, const struct log *log);
void pic_free(struct pic *pic);
/* The level of IRQ N (0 to 15, not 2). OWNER is the struct pic: for struct line. */
void pic_set_irq(void *owner, int n, bool level);
/* The two INTA cycles: the vector. With nothing to acknowledge it is the spurious IR7 of the master (or of the slave).
 * */
u8 pic_acknowledge(struct pic *pic);
/* After a load: drive INTR again. */
void pic_refresh(struct pic *pic);
struct part pic_part(struct pic *pic);

#endif
