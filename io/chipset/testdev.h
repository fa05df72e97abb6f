/* SPDX-License-Identifier: MIT */
/* QEMU's pc-testdev, which kvm-unit-tests expects; there is no data sheet:
 *
 *     E0h  a register of 32 bits, read and written in any size
 *     E8h  the same register; an access of several bytes is as many accesses of one byte
 *     E4h  a physical address: QEMU unmaps and maps the page; a write has no effect here
 *     2000h-2017h   each a level, bit 0, on the interrupt line with that number
 *     FF000000h     64 KiB of memory that is a device: each access is one of the device's
 *
 * Not modelled: the page of port E4h. */
#ifndef IO_TESTDEV_H
#define IO_TESTDEV_H

#include "mem/base/field.h"
#include "mem/base/line.h"
#include "mem/space.h"

enum { TESTDEV_IRQS = 24 };

struct testdev;

/* IRQ is set as number 0 to 23. NULL: no memory, or something lies there. */
struct testdev *testdev_new(struct space *ports, struct space *memory, struct line irq);
void testdev_free(struct testdev *testdev);
void testdev_refresh(struct testdev *testdev);
struct part testdev_part(struct testdev *testdev);

#endif
