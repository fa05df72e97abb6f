/* SPDX-License-Identifier: MIT */
/* Ports: IN, OUT, and the permission to use them (SDM vol. 1, chapter 19). */
#include "cpu/hook.h"
#include "cpu/system/system.h"

bool io_allowed(struct cpu *c, u16 port, unsigned size)
{
	const struct seg *tr = &c->seg[TR];
	u64 map, bits;

	if (!(c->cr0 & CR0_PE) || (!(c->eflags & FL_VM) && c->cpl <= iopl(c)))
		return true;
	/* The bitmap's offset is at 102 of a 32-bit TSS. Two bytes of it are always read, so that any four ports are
	 * covered. */
	if (tr->attr & SEG_UNUSABLE || !(tr->attr & 8) || tr->limit < 103)
		return gp_because(c, 0, "CPL is above IOPL, and the TSS has no I/O map (vol. 1, 19.5.2)");
	if (!sys_read(c, tr->base + 102, 2, &map))
		return false;
	if (map + port / 8 + 1 > tr->limit)
		return gp_because(c, 0, "CPL is above IOPL, and the port is beyond the TSS's I/O map (vol. 1, 19.5.2)");
	if (!sys_read(c, tr->base + map + port / 8, 2, &bits))
		return false;
	return !(bits >> (port & 7) & ((1u << size) - 1)) ||
	       gp_because(c, 0, "CPL is above IOPL, and the TSS's I/O map forbids the port (vol. 1, 19.5.2)");
}

/* With hooks. */
static COLD bool hooked_read(struct cpu *c, u16 port, unsigned size, u64 *v)
{
	enum hook_answer answer;

	*v = trim(~(u64)0, size);
	answer = hook_port(c, false, false, port, size, v);
	if (answer == HOOK_STOP)
		return false;
	if (answer == HOOK_SKIP)
		return true;
	*v = space_read(c->io, port, size);
	hook_port(c, false, true, port, size, v);
	return true;
}

static COLD bool hooked_write(struct cpu *c, u16 port, unsigned size, u64 *v)
{
	enum hook_answer answer = hook_port(c, true, false, port, size, v);

	if (answer == HOOK_STOP)
		return false;
	if (answer == HOOK_SKIP)
		return true;
	space_write(c->io, port, size, *v);
	hook_port(c, true, true, port, size, v);
	return true;
}

bool io_read(struct cpu *c, u16 port, unsigned size, u64 *v)
{
	cpu_ask(c);
	if (hooked(c, HOOK_IN))
		return hooked_read(c, port, size, v);
	*v = space_read(c->io, port, size);
	return true;
}

bool io_write(struct cpu *c, u16 port, unsigned size, u64 *v)
{
	cpu_ask(c);
	if (hooked(c, HOOK_OUT))
		return hooked_write(c, port, size, v);
	space_write(c->io, port, size, *v);
	return true;
}

ALWAYS_INLINE bool port_in(struct cpu *c, u16 port, unsigned size)
{
	u64 v;

	if (!io_allowed(c, port, size) || !io_read(c, port, size, &v))
		return false;
	labour(c, LABOUR_PORT);
	reg_set(c, 8 * RAX, size, v);
	debug_io(c, port, size);
	observe(c, EVENT_PORT, port, v, size, false);
	return true;
}

ALWAYS_INLINE bool port_out(struct cpu *c, u16 port, unsigned size)
{
	u64 v = reg_get(c, 8 * RAX, size);

	if (!io_allowed(c, port, size) || !io_write(c, port, size, &v))
		return false;
	labour(c, LABOUR_PORT);
	debug_io(c, port, size);
	observe(c, EVENT_PORT, port, v, size, true);
	return true;
}

ALWAYS_INLINE unsigned port_size(const struct op *o) { return o->osize == 2 ? 2 : 4; }

BODY(in_byte_imm) { return port_in(c, o->imm & 0xff, 1); }
BODY(in_byte_dx) { (void)o; return port_in(c, (u16)c->r[RDX], 1); }
BODY(in_imm) { return port_in(c, o->imm & 0xff, port_size(o)); }
BODY(in_dx) { return port_in(c, (u16)c->r[RDX], port_size(o)); }
BODY(out_byte_imm) { return port_out(c, o->imm & 0xff, 1); }
BODY(out_byte_dx) { (void)o; return port_out(c, (u16)c->r[RDX], 1); }
BODY(out_imm) { return port_out(c, o->imm & 0xff, port_size(o)); }
BODY(out_dx) { return port_out(c, (u16)c->r[RDX], port_size(o)); }
BODY_HANDLER(in_byte_imm)
BODY_HANDLER(in_byte_dx)
BODY_HANDLER(in_imm)
BODY_HANDLER(in_dx)
BODY_HANDLER(out_byte_imm)
BODY_HANDLER(out_byte_dx)
BODY_HANDLER(out_imm)
BODY_HANDLER(out_dx)

/* E4-E7: the port is an immediate byte; EC-EF: DX. Odd opcodes: AX or EAX. */
GEN(in)
{
	if (d->opcode & 8)
		o->run = d->opcode & 1 ? h_in_dx : h_in_byte_dx;
	else
		o->run = d->opcode & 1 ? h_in_imm : h_in_byte_imm;
}

GEN(out)
{
	if (d->opcode & 8)
		o->run = d->opcode & 1 ? h_out_dx : h_out_byte_dx;
	else
		o->run = d->opcode & 1 ? h_out_imm : h_out_byte_imm;
}
