#!/usr/bin/env python3
"""Exhaustive crash-state enumeration for the proposed kv protocol (ALICE-style default APM, rename atomic).
Crash after any prefix of the trace; every op that no completed sync covers may be lost, an unsynced
append may show as {missing(size 0), zeros, garbage/short, full}."""
from disk import T,states
from tally import Tally
TALLY=Tally('crash')
ROOT,OBJ,PACK,TMP=1,2,3,4
BAD=('EMPTY','ZEROS','GARBAGE')
def get(dirs,data,key):
    obj=dirs[ROOT].get('objects'); sh=dirs.get(obj,{}).get('ab')
    f=dirs.get(sh,{}).get(key)
    if f is not None:
        c=data[f]
        if c in BAD: return 'CORRUPT'
        return None if c[2] is None else c[2]
    pk=dirs[ROOT].get('packs'); m=dirs.get(pk,{}).get('MANIFEST')
    if m is None: return None
    if data[m] in BAD: return 'CORRUPT'
    for p in data[m][1]:
        pi=dirs[pk].get(p)
        if pi is None or data[pi] in BAD: return 'CORRUPT'
        if key in data[pi][1]: return data[pi][1][key]
    return None
def get_listing(dirs,data,key):
    """variant: no MANIFEST, packs found by readdir, newest name wins (git style)"""
    obj=dirs[ROOT].get('objects'); sh=dirs.get(obj,{}).get('ab'); f=dirs.get(sh,{}).get(key)
    if f is not None:
        c=data[f]; return 'CORRUPT' if c in BAD else c[2]
    for p in sorted((n for n in dirs[PACK] if n.startswith('p')),reverse=True):
        c=data[dirs[PACK][p]]
        if c in BAD: return 'CORRUPT'
        if key in c[1]: return c[1][key]
    return None
def base(loose={},packs=None,shard=True):
    dirs={ROOT:{'objects':OBJ,'packs':PACK,'tmp':TMP},OBJ:{},PACK:{},TMP:{}}; data={}
    if shard: dirs[OBJ]['ab']=10; dirs[10]={}
    n=20
    for k,v in loose.items(): dirs[10][k]=n; data[n]=('E',k,v); n+=1
    if packs is not None:
        for name,m in packs: dirs[PACK][name]=n; data[n]=('P',m); n+=1
        dirs[PACK]['MANIFEST']=n; data[n]=('M',[p for p,_ in reversed(packs)])
    return {'dirs':dirs,'data':data}
def run(name,init,tr,check,getter=get,drop=None):
    ops=[o for j,o in enumerate(tr.ops) if j!=drop]
    n=bad=0; ex=None
    for dirs,data,acks,desc in states(init,ops):
        n+=1
        r=check(lambda k:getter(dirs,data,k),acks,dirs,data)
        if r:
            bad+=1
            if ex is None: ex=(r,desc)
    return n,bad,ex
def report(name,init,tr,check,getter=get,mut=True,spare=()):
    """mut: also leaves out each sync in turn; spare: those that the model does not need"""
    n,b,ex=run(name,init,tr,check,getter)
    TALLY.tell(name,n,b,ex)
    if mut:
        for j,o in enumerate(tr.ops):
            if o[0] in('sync','syncfs'):
                n2,b2,ex2=run(name,init,tr,check,getter,drop=j)
                wrong='' if j in spare else 'WRONG '
                TALLY.tell(f'{wrong}{name}, without sync {j}',n2,b2,ex2)
def putsteps(t,shino,key,val,sync=True,fromtmp=True):
    i=t.creat(TMP,'t-'+key); t.write(i,('E',key,val)); t.sync(i)
    t.rename(TMP,'t-'+key,shino,key,i); t.sync(shino)
# 1 put new key, new shard
t=T(); sh=t.mkdir(OBJ,'ab'); t.sync(OBJ); putsteps(t,sh,'a',1); t.ack('a=1')
def ck(g,acks,d,x):
    v=g('a')
    if v=='CORRUPT': return 'corrupt a'
    if 'a=1' in acks and v!=1: return f'acked put lost: {v}'
    if v not in(None,1): return f'strange {v}'
report('put new key in new shard',base(shard=False),t,ck)
# 2 overwrite
t=T(); putsteps(t,10,'a',2); t.ack('a=2')
def ck(g,acks,d,x):
    v=g('a')
    if v=='CORRUPT': return 'corrupt'
    if 'a=2' in acks and v!=2: return f'acked put lost: {v}'
    if v not in(1,2): return f'neither old nor new: {v}'
report('overwrite loose key',base({'a':1}),t,ck)
# 3 rm: unlink
t=T(); t.unlink(10,'a'); t.sync(10); t.ack('rm a')
def ck(g,acks,d,x):
    v=g('a')
    if v=='CORRUPT': return 'corrupt'
    if acks and v is not None: return f'removed key is back: {v}'
    if v not in(None,1): return v
report('rm of unpacked key (unlink)',base({'a':1}),t,ck)
t=T(); putsteps(t,10,'a',None); t.ack('rm a')
report('rm of packed key (tombstone)',base({'a':1},[('p0',{'a':0})]),t,ck)
t=T(); t.unlink(10,'a'); t.sync(10); t.ack('rm a')
report('WRONG rm of packed key by unlink only',base({'a':1},[('p0',{'a':0})]),t,ck,mut=False)
# 4 batch of 3, two syncfs
t=T()
ii={}
for k in 'abc': ii[k]=t.creat(TMP,'t-'+k); t.write(ii[k],('E',k,2))
t.syncfs()
for k in 'abc': t.rename(TMP,'t-'+k,10,k,ii[k])
t.syncfs(); t.ack('batch')
def ck(g,acks,d,x):
    for k in 'abc':
        v=g(k)
        if v=='CORRUPT': return 'corrupt '+k
        if acks and v!=2: return f'acked batch lost {k}'
        if v not in(1 if k!='c' else None,2): return f'{k}: neither old nor new: {v}'
report('batch of 3 (syncfs, renames, syncfs)',base({'a':1,'b':1}),t,ck)
# 5 gc: fold then full merge
def gc(order_first_unlink='p1',manifest=True):
    t=T()
    i=t.creat(PACK,'.t1'); t.write(i,('P',{'a':1,'b':None,'c':3})); t.sync(i); t.rename(PACK,'.t1',PACK,'p1',i); t.sync(PACK)
    if manifest:
        m=t.creat(PACK,'.m1'); t.write(m,('M',['p1','p0'])); t.sync(m); t.rename(PACK,'.m1',PACK,'MANIFEST',m); t.sync(PACK)
    for k in 'abc': t.unlink(10,k)
    t.sync(10)
    i=t.creat(PACK,'.t2'); t.write(i,('P',{'a':1,'c':3,'d':5})); t.sync(i); t.rename(PACK,'.t2',PACK,'p2',i); t.sync(PACK)
    if manifest:
        m=t.creat(PACK,'.m2'); t.write(m,('M',['p2'])); t.sync(m); t.rename(PACK,'.m2',PACK,'MANIFEST',m); t.sync(PACK)
    t.unlink(PACK,'p0'); t.unlink(PACK,'p1'); t.sync(PACK)
    return t
def ck(g,acks,d,x):
    for k,w in(('a',1),('b',None),('c',3),('d',5)):
        v=g(k)
        if v!=w: return f'{k} is {v}, want {w}'
I=base({'a':1,'b':None,'c':3},[('p0',{'b':0,'c':2,'d':5})])
report('gc fold + full merge, MANIFEST',I,gc(),ck,spare=(13,26))
report('WRONG gc fold + full merge, packs found by readdir (no MANIFEST)',I,gc(manifest=False),ck,getter=get_listing,mut=False)

# wrong orders
def gcw():
    t=T()
    i=t.creat(PACK,'.t1'); t.write(i,('P',{'a':1,'b':None,'c':3})); t.sync(i); t.rename(PACK,'.t1',PACK,'p1',i); t.sync(PACK)
    for k in 'abc': t.unlink(10,k)
    m=t.creat(PACK,'.m1'); t.write(m,('M',['p1','p0'])); t.sync(m); t.rename(PACK,'.m1',PACK,'MANIFEST',m); t.sync(PACK)
    return t
report('WRONG gc: unlink loose before MANIFEST is durable',I,gcw(),ck,mut=False)
# fsync only the pack dir once (pack and manifest renamed together)
def gc1():
    t=T()
    i=t.creat(PACK,'.t1'); t.write(i,('P',{'a':1,'b':None,'c':3})); t.sync(i); t.rename(PACK,'.t1',PACK,'p1',i)
    m=t.creat(PACK,'.m1'); t.write(m,('M',['p1','p0'])); t.sync(m); t.rename(PACK,'.m1',PACK,'MANIFEST',m); t.sync(PACK)
    for k in 'abc': t.unlink(10,k)
    return t
report('WRONG gc with one dir fsync for pack+manifest (LevelDB 1.15 bug class)',I,gc1(),ck,mut=False)
# expire / evict a loose entry that shadows an older packed value
t=T(); t.unlink(10,'a'); t.ack('expired a')
def ck2(g,acks,d,x):
    v=g('a')
    if v not in(1,None): return f'old packed value came back: {v}'
report('WRONG expire/evict by unlink when a pack holds an older value',base({'a':1},[('p0',{'a':0})]),t,ck2,mut=False)
# batch without first barrier on a new key only

# ======================================================================================================================
# Part 2 (review): bulk put, import --replace, first creation of a store, two processes and one new shard, birth of packs/,
# --sync off beside gc and MANIFEST, remove killed, flock-free copy order.
# ======================================================================================================================
def packsteps(t,name,recs,man,sync=True,mansync=True):
    i=t.creat(PACK,'.t'+name); t.write(i,('P',recs))
    if sync: t.sync(i)
    t.rename(PACK,'.t'+name,PACK,name,i)
    if sync: t.sync(PACK)
    m=t.creat(PACK,'.m'+name); t.write(m,('M',man))
    if mansync: t.sync(m)
    t.rename(PACK,'.m'+name,PACK,'MANIFEST',m)
    if mansync: t.sync(PACK)
# bulk put: a over a loose value, b over a loose tombstone over a packed value, c new; d packed only and not in the batch; e loose, not in the batch
I=base({'a':1,'b':None,'e':6},[('p0',{'b':0,'d':5})])
def bulk():
    t=T(); packsteps(t,'b1',{'a':2,'b':2,'c':2},['b1','p0'])
    for k in 'ab': t.unlink(10,k)
    t.sync(10); t.ack('bulk'); return t
def ckb(g,acks,d,x):
    for k,old in(('a',1),('b',None),('c',None)):
        v=g(k)
        if v=='CORRUPT': return k+' corrupt'
        if acks and v!=2: return f'acked bulk put lost {k}: {v}'
        if v not in(old,2): return f'{k}: neither old nor new: {v}'
    if g('d')!=5 or g('e')!=6: return f"bystander: d={g('d')} e={g('e')}"
report('bulk put (B2..B5)',I,bulk(),ckb)
# bulk put, killed after B4, then gc folds the loose entries that were left, then crash anywhere
t=T(); packsteps(t,'b1',{'a':2,'b':2,'c':2},['b1','p0']); t.unlink(10,'a')     # killed here: b's tombstone stays, a's unlink is unsynced
packsteps(t,'g1',{'b':None,'e':6},['g1','b1','p0'])
for k in 'be': t.unlink(10,k)
t.sync(10)
report('bulk put killed in B5, then gc (fold), crash anywhere',I,t,ckb,mut=False)
# --sync off
t=T(); packsteps(t,'b1',{'a':2,'b':2,'c':2},['b1','p0'],sync=False,mansync=False)
for k in 'ab': t.unlink(10,k)
t.ack('bulk')
def ckby(g,acks,d,x):
    for k,w in(('d',5),('e',6)):
        if g(k)!=w: return f'bystander {k}={g(k)}, was durable'
report('WRONG bulk put --sync off leaves out the syncs of pack and MANIFEST (only bystanders judged)',I,t,ckby,mut=False)
t=T(); packsteps(t,'b1',{'a':2,'b':2,'c':2},['b1','p0'],sync=False,mansync=True)
for k in 'ab': t.unlink(10,k)
t.ack('bulk')
report('WRONG bulk put --sync off: MANIFEST synced, pack not (only bystanders judged; d lies in an older pack)',I,t,ckby,mut=False)
t=T(); packsteps(t,'g1',{'e':6},['g1','p0'],sync=False,mansync=False); t.unlink(10,'e')
report('WRONG gc under KV_SYNC=off: e was acknowledged under sync full',base({'e':6},[('p0',{'d':5})]),t,ckby,mut=False)
t=T(); packsteps(t,'g1',{'e':6},['g1','p0']); t.unlink(10,'e')
report('gc under KV_SYNC=off that syncs all the same',base({'e':6},[('p0',{'d':5})]),t,ckby,mut=False)
# import --replace: everything old goes
def repl(order):
    t=T(); packs=lambda:packsteps(t,'r1',{'a':2,'c':2},['r1'])
    if order=='commit first': packs()
    for k in 'abe': t.unlink(10,k)
    t.sync(10)
    if order!='commit first': packs()
    t.unlink(PACK,'p0'); t.sync(PACK); t.ack('replace'); return t
def ckr(g,acks,d,x):
    for k,olds,new in(('a',(1,),2),('b',(None,),None),('c',(None,),2),('d',(5,),None),('e',(6,),None)):
        v=g(k)
        if v=='CORRUPT': return k+' corrupt'
        if acks and v!=new: return f'acked replace: {k}={v}'
        if v not in olds+(new,): return f'{k}: neither old nor new: {v}'
    if not acks and g('a') is None: return 'a is in old and new, and gone'
report('import --replace: MANIFEST names only the new pack, then all other loose entries go',I,repl('commit first'),ckr,mut=False)
report('WRONG import --replace: removes first, then commits',I,repl('unlink first'),ckr,mut=False)
# birth of packs/ by rename
def birth(syncns):
    t=T(); pk=t.mkdir(ROOT,'packs.new'); m=t.creat(pk,'MANIFEST'); t.write(m,('M',[])); t.sync(m); t.sync(pk)
    t.rename(ROOT,'packs.new',ROOT,'packs',pk)
    if syncns: t.sync(ROOT)
    i=t.creat(pk,'.t1'); t.write(i,('P',{'a':1})); t.sync(i); t.rename(pk,'.t1',pk,'p1',i); t.sync(pk)
    m=t.creat(pk,'.m1'); t.write(m,('M',['p1'])); t.sync(m); t.rename(pk,'.m1',pk,'MANIFEST',m); t.sync(pk)
    t.unlink(10,'a'); t.sync(10); return t
J=base({'a':1}); del J['dirs'][ROOT]['packs']; del J['dirs'][PACK]
def cka(g,acks,d,x):
    if g('a')!=1: return f"a is {g('a')}, was durable"
report('first gc: packs/ born by rename, namespace directory synced before C6',J,birth(True),cka,mut=False)
report('WRONG first gc: as the steps C4-C6 read (only packs/ is synced)',J,birth(False),cka,mut=False)
# a new store: PARENT/store/default/{format,objects/ab,tmp}
PAR=200
def getn(dirs,data,key):
    st=dirs.get(PAR,{}).get('store'); ns=dirs.get(st,{}).get('default')
    if ns is None: return None
    f=dirs.get(ns,{}).get('format')
    o=dirs.get(ns,{}).get('objects'); sh=dirs.get(o,{}).get('ab'); e=dirs.get(sh,{}).get(key)
    if e is None: return None
    if f is None or data[f] in BAD: return 'CORRUPT'      # entries without a format file: not openable
    return 'CORRUPT' if data[e] in BAD else data[e][2]
def fresh(level):
    """level 0: as written (only objects, file and shard are synced); 1: every new directory up to the store's parent, format synced first"""
    t=T(); s=t.mkdir(PAR,'store'); n=t.mkdir(s,'default'); f=t.creat(n,'.f'); t.write(f,('F',)); 
    if level: t.sync(f)
    t.rename(n,'.f',n,'format',f)
    o=t.mkdir(n,'objects'); tm=t.mkdir(n,'tmp')
    if level: t.sync(n); t.sync(s); t.sync(PAR)
    sh=t.mkdir(o,'ab'); t.sync(o)
    i=t.creat(tm,'t'); t.write(i,('E','a',1)); t.sync(i); t.rename(tm,'t',sh,'a',i); t.sync(sh); t.ack('a=1'); return t
EMPTY={'dirs':{PAR:{}},'data':{}}
def ckn(g,acks,d,x):
    v=g('a')
    if acks and v!=1: return f'acked put lost: {v}'
    if v not in(None,1): return v
report('WRONG first put into a new store: syncs as storage.md lists them',EMPTY,fresh(0),ckn,getter=getn,mut=False)
report('first put into a new store: format, namespace, store and parent synced before the entry',EMPTY,fresh(1),ckn,getter=getn)
# two processes, one new shard: A makes objects/ab and is slow or killed before it syncs objects; B finds it made
def two(fix):
    t=T(); sh=t.mkdir(OBJ,'ab')                                   # A, stopped here
    if fix: t.sync(OBJ)                                           # B: lock file still empty -> syncs objects itself, then marks it
    putsteps(t,sh,'a',1); t.ack('a=1'); return t
def ck1(g,acks,d,x):
    v=g('a')
    if acks and v!=1: return f'acked put lost: {v}'
    if v not in(None,1): return v
report('WRONG new shard made by A (killed before fsync of objects), put by B that only finds it',base(shard=False),two(False),ck1,mut=False)
report('the same, B syncs objects because the shard is not marked durable yet',base(shard=False),two(True),ck1,mut=False)
# bulk put that unlocks its shards before it syncs them: the same trace; the ack is what must wait
def bulk_noack():
    t=T(); packsteps(t,'b1',{'a':2,'b':2,'c':2},['b1','p0'])
    for k in 'ab': t.unlink(10,k)
    putsteps(t,10,'a',3); t.ack('a=3')                            # another put, after the shard was unlocked, before bulk's own fsync
    t.sync(10); t.ack('bulk'); return t
def ckc(g,acks,d,x):
    v=g('a')
    if v=='CORRUPT' or g('b')=='CORRUPT': return 'corrupt'
    if 'a=3' in acks and v!=3: return f'acked a=3 lost: {v}'
    if 'bulk' in acks and g('b')!=2: return 'acked b lost'
    if v not in(1,2,3): return v
report('bulk put unlocks the shards before it syncs them, another put between',I,bulk_noack(),ckc,mut=False)
if __name__=='__main__': TALLY.end()
