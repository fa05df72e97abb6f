/* SPDX-License-Identifier: MIT */
/* The virtual APIC of a guest (SDM vol. 3, chapter 29): a page with registers, to which accesses to CR8, to the
 * APIC-access page and to MSRs of x2APIC mode go; virtual interrupts, which its IRR and ISR hold; posted ones.
 *
 * Guest interrupt status, in the VMCS: 7-0 RVI, the highest vector in the virtual IRR | 15-8 SVI, in the virtual ISR */
#include "cpu/system/system.h"
#include "cpu/system/vm/virtual_apic.h"

static u64 page(const struct cpu *c) { return c->vmx->controls.virtual_apic; }
static u32 get(const struct cpu *c, unsigned offset) { return vapic_get(c, page(c), offset); }
static void put(struct cpu *c, unsigned offset, u32 v) { vapic_set(c, page(c), offset, v); }

static unsigned rvi(const struct cpu *c) { return vmcs_get(c, VMCS_GUEST_INTERRUPT_STATUS) & 0xff; }
static unsigned svi(const struct cpu *c) { return vmcs_get(c, VMCS_GUEST_INTERRUPT_STATUS) >> 8 & 0xff; }
static void set_status(struct cpu *c, unsigned requested, unsigned served)
{
	vmcs_set(c, VMCS_GUEST_INTERRUPT_STATUS, served << 8 | requested);
}

/* ---- virtualisation of TPR, PPR, EOI, self-IPIs (29.1.2 to 29.1.5) ---- */

static void exit_behind(struct cpu *c, u32 reason, u32 qualification)
{
	c->vmx->apic_exit = qualification << 8 | reason;
	attend(c, ATTN_LINE);
}

/* 29.2.1 */
static void evaluate(struct cpu *c)
{
	c->vmx->virtual_due = !vmx_proc(c, PROC_INTR_WINDOW) && (rvi(c) & 0xf0) > (get(c, VAPIC_PPR) & 0xf0);
	if (c->vmx->virtual_due)
		attend(c, ATTN_LINE);
}

static void update_ppr(struct cpu *c)
{
	put(c, VAPIC_PPR, vapic_priority(get(c, VAPIC_TPR) & 0xff, svi(c)));
}

static void tpr_written(struct cpu *c)
{
	if (vmx_secondary(c, SEC_VIRTUAL_INTR)) {
		update_ppr(c);
		evaluate(c);
	} else if (get(c, VAPIC_TPR) >> 4 < c->vmx->controls.tpr_threshold) {
		exit_behind(c, VMEXIT_TPR, 0);
	}
}

u32 vmx_read_tpr(const struct cpu *c) { return get(c, VAPIC_TPR) & 0xff; }

void vmx_write_tpr(struct cpu *c, u32 v)
{
	put(c, VAPIC_TPR, v & 0xff);
	tpr_written(c);
}

static void end_of_interrupt(struct cpu *c)
{
	unsigned vector = svi(c);

	vapic_mark(c, page(c), VAPIC_ISR, vector, false);
	set_status(c, rvi(c), vapic_highest(c, page(c), VAPIC_ISR));
	update_ppr(c);
	if (vmcs_get(c, vmcs_nth(VMCS_EOI_EXIT_BITMAP0, vector / 64)) >> vector % 64 & 1)
		exit_behind(c, VMEXIT_VIRTUAL_EOI, vector);
	else
		evaluate(c);
}

static void self_ipi(struct cpu *c, unsigned vector)
{
	vapic_mark(c, page(c), VAPIC_IRR, vector, true);
	set_status(c, vector > rvi(c) ? vector : rvi(c), svi(c));
	evaluate(c);
}

/* ---- IPI virtualisation (29.1.6) ---- */

/* A posted-interrupt descriptor, from its bit 256 on: 0 outstanding notification | 1 none is to be sent | 23-16 its
 * vector | 63-32 the APIC ID that it goes to, of the host */
enum { PID_ON = 1, PID_SN = 2 };

/* Post VECTOR to the guest's processor with the APIC ID. False: the monitor has to. */
static bool post(struct cpu *c, unsigned vector, u32 id)
{
	u64 pid, at, info;

	if (vector < 16 || id > vmcs_get(c, VMCS_LAST_PID_INDEX))
		return false;
	pid = vm_read(c, vmcs_get(c, VMCS_PID_TABLE) + 8 * (u64)id, 8);
	if ((pid & 0x3f) != 1 || pid >> c->model->physical_bits)
		return false;
	at = pid - 1;
	vm_write(c, at + vector / 8, 1, vm_read(c, at + vector / 8, 1) | 1u << vector % 8);
	info = vm_read(c, at + 32, 8);
	if (info & (PID_ON | PID_SN))
		return true;
	vm_write(c, at + 32, 8, info | PID_ON);
	if (c->apic)
		apic_send_fixed(c->apic, (u32)(info >> 32), (u8)(info >> 16));
	return true;
}

static void send_ipi(struct cpu *c, u32 icr, u32 id)
{
	const u32 unicast = 0xffffbf00; /* fixed, edge-triggered, physical, no shorthand: all of these are 0 */

	if (icr & unicast || !vmx_tertiary(c, TERTIARY_IPI) || !post(c, icr & 0xff, id))
		exit_behind(c, VMEXIT_APIC_WRITE, VAPIC_ICR);
}

bool vmx_apic_sends(struct cpu *c, u32 id, u8 vector)
{
	if (!vmx_proc(c, PROC_TPR_SHADOW))
		return false;
	if (vmx_secondary(c, SEC_APIC_ACCESS)) {
		id = id >> 8 & 0xff;
		put(c, VAPIC_ICR_HIGH, id << 24);
		put(c, VAPIC_ICR, vector);
	} else {
		vm_write(c, page(c) + VAPIC_ICR, 8, (u64)id << 32 | vector);
	}
	send_ipi(c, vector, id);
	return true;
}

/* ---- the APIC-access page (29.4) ---- */

static bool has_register(const struct cpu *c, unsigned offset, unsigned len, bool write)
{
	/* bit n: offset 16 n. Read: all but PPR and the current count. Written: what is not read-only. */
	static const u64 read = 0x41ff01ffffffe90c, written = 0x41ff01000000e904;
	u64 rows = write ? written : read;

	if (!vmx_proc(c, PROC_TPR_SHADOW) || (offset & 15) + len > 4)
		return false;
	if (!vmx_secondary(c, SEC_APIC_REGISTERS)) {
		rows = (u64)1 << (VAPIC_TPR >> 4);
		if (write && vmx_secondary(c, SEC_VIRTUAL_INTR))
			rows |= (u64)1 << (VAPIC_EOI >> 4) | (u64)1 << (VAPIC_ICR >> 4);
		if (write && vmx_tertiary(c, TERTIARY_IPI))
			rows |= (u64)1 << (VAPIC_ICR >> 4);
		if (offset & 15)
			return false;
	}
	return rows >> (offset >> 4) & 1;
}

/* Table 27-6: 11-0 offset | 15-12 0 read, 1 write, 2 fetch, 3 during the delivery of an event */
bool vmx_apic_access(struct cpu *c, unsigned offset, unsigned len, enum access kind)
{
	u32 type = c->vmx->vectoring ? 3 : kind == ACCESS_FETCH ? 2 : kind == ACCESS_WRITE;

	if (kind != ACCESS_FETCH && has_register(c, offset, len, kind == ACCESS_WRITE))
		return true;
	vmx_exits(c, VMEXIT_APIC_ACCESS, offset | type << 12);
	vmx_because(c, VMCS_SECONDARY_CONTROLS, SEC_APIC_ACCESS);
	return false;
}

void vmx_apic_read(const struct cpu *c, unsigned offset, u8 *out, unsigned len)
{
	for (unsigned i = 0; i < len; i++)
		out[i] = (u8)vm_read(c, page(c) + offset + i, 1);
}

/* A fixed, edge-triggered interrupt to itself; 31-20, 17, 16, 13, 12 are 0. */
static bool is_self_ipi(u32 icr) { return (icr & 0xffffb700) == 0x40000 && icr & 0xf0; }

void vmx_apic_write(struct cpu *c, unsigned offset, const u8 *in, unsigned len)
{
	bool interrupts = vmx_secondary(c, SEC_VIRTUAL_INTR);
	unsigned at = offset & ~15u;

	for (unsigned i = 0; i < len; i++)
		vm_write(c, page(c) + offset + i, 1, in[i]);
	if (at == VAPIC_TPR) {
		vmx_write_tpr(c, get(c, VAPIC_TPR));
	} else if (at == VAPIC_ICR_HIGH) {
		put(c, VAPIC_ICR_HIGH, get(c, VAPIC_ICR_HIGH) & 0xff000000);
	} else if (at == VAPIC_EOI && interrupts) {
		put(c, VAPIC_EOI, 0);
		end_of_interrupt(c);
	} else if (at == VAPIC_ICR && interrupts && is_self_ipi(get(c, VAPIC_ICR))) {
		self_ipi(c, get(c, VAPIC_ICR) & 0xff);
	} else if (offset == VAPIC_ICR) {
		send_ipi(c, get(c, VAPIC_ICR), get(c, VAPIC_ICR_HIGH) >> 24);
	} else {
		exit_behind(c, VMEXIT_APIC_WRITE, offset);
	}
}

/* ---- MSRs of x2APIC mode (29.5) ---- */

static unsigned offset_of(u32 index) { return (index & 0xff) << 4; }

bool vmx_apic_has_msr(const struct cpu *c, u32 index, bool write)
{
	unsigned at = offset_of(index);

	if (!vmx_secondary(c, SEC_X2APIC))
		return false;
	if (!write)
		return at == VAPIC_TPR || vmx_secondary(c, SEC_APIC_REGISTERS);
	return at == VAPIC_TPR || (vmx_secondary(c, SEC_VIRTUAL_INTR) && (at == VAPIC_EOI || at == VAPIC_SELF_IPI)) ||
	       (at == VAPIC_ICR && vmx_tertiary(c, TERTIARY_IPI));
}

u64 vmx_apic_read_msr(const struct cpu *c, u32 index)
{
	return vm_read(c, page(c) + offset_of(index), 8);
}

bool vmx_apic_write_msr(struct cpu *c, u32 index, u64 v)
{
	const u32 icr_reserved = 0xfff32000;
	unsigned at = offset_of(index);

	if (at == VAPIC_ICR ? v & icr_reserved : v >> 8 || (at == VAPIC_EOI && v))
		return false;
	vm_write(c, page(c) + at, 8, v);
	if (at == VAPIC_TPR)
		tpr_written(c);
	else if (at == VAPIC_EOI)
		end_of_interrupt(c);
	else if (at == VAPIC_ICR)
		send_ipi(c, (u32)v, (u32)(v >> 32));
	else if (v >> 4)
		self_ipi(c, (unsigned)v);
	else
		exit_behind(c, VMEXIT_APIC_WRITE, VAPIC_SELF_IPI);
	return true;
}

/* ---- interrupts ---- */

/* 26.3.2.5, 26.7.7 */
void vmx_apic_enter(struct cpu *c)
{
	const struct vmx_controls *k = &c->vmx->controls;

	c->vmx->apic_exit = 0;
	c->vmx->virtual_due = false;
	if (k->secondary & SEC_VIRTUAL_INTR) {
		update_ppr(c);
		evaluate(c);
	} else if (k->proc & PROC_TPR_SHADOW && k->secondary & SEC_APIC_ACCESS) {
		tpr_written(c);
	}
}

/* 29.2.2 */
unsigned vmx_apic_acknowledge(struct cpu *c)
{
	unsigned vector = rvi(c);

	vapic_mark(c, page(c), VAPIC_ISR, vector, true);
	put(c, VAPIC_PPR, vector & 0xf0);
	vapic_mark(c, page(c), VAPIC_IRR, vector, false);
	set_status(c, vapic_highest(c, page(c), VAPIC_IRR), vector);
	c->vmx->virtual_due = false;
	return vector;
}

/* 29.6. The descriptor: 255-0 requests | 256 outstanding notification */
bool vmx_apic_posted(struct cpu *c, unsigned vector)
{
	unsigned highest_posted = 0;
	u64 at;

	if (!vmx_pin(c, PIN_POSTED) || vector != vmcs_get(c, VMCS_POSTED_VECTOR))
		return false;
	at = vmcs_get(c, VMCS_POSTED_DESCRIPTOR);
	vm_write(c, at + 32, 1, vm_read(c, at + 32, 1) & 0xfe);
	if (c->apic)
		apic_eoi(c->apic);
	for (unsigned i = 0; i < 8; i++) {
		u32 requests = (u32)vm_read(c, at + 4 * i, 4);

		if (!requests)
			continue;
		vm_write(c, at + 4 * i, 4, 0);
		put(c, VAPIC_IRR + 16 * i, get(c, VAPIC_IRR + 16 * i) | requests);
		highest_posted = 32 * i + 31 - (unsigned)__builtin_clz(requests);
	}
	set_status(c, highest_posted > rvi(c) ? highest_posted : rvi(c), svi(c));
	evaluate(c);
	return true;
}
