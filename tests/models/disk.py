"""Every state in which a power cut may leave a disk, under the weakest file system that still has atomic rename.

The power may fail behind any operation; every one that no completed sync covers may be lost, and an
unsynced write may show as nothing, zeros, garbage or whole."""
import itertools
class T:
    def __init__(s): s.ops=[]; s.n=100
    def ino(s): s.n+=1; return s.n
    def creat(s,d,name): i=s.ino(); s.ops.append(('creat',d,name,i)); return i
    def mkdir(s,d,name): i=s.ino(); s.ops.append(('creat',d,name,i)); return i
    def write(s,i,c): s.ops.append(('write',i,c))
    def sync(s,i): s.ops.append(('sync',i))
    def syncfs(s): s.ops.append(('syncfs',))
    def rename(s,sd,sn,dd,dn,i): s.ops.append(('rename',sd,sn,dd,dn,i))
    def unlink(s,d,n): s.ops.append(('unlink',d,n))
    def ack(s,f): s.ops.append(('ack',f))
def inos(op):
    k=op[0]
    if k=='creat': return {op[1]}
    if k=='write': return {op[1]}
    if k=='rename': return {op[1],op[3]}
    if k=='unlink': return {op[1]}
    return set()
WR=('none','zeros','garbage','full')
def states(init,ops):
    """yield (fs,acks,desc) unique"""
    seen=set()
    for t in range(len(ops)+1):
        pre=ops[:t]
        forced=[False]*t
        for j,op in enumerate(pre):
            if op[0]=='sync':
                for i in range(j):
                    if op[1] in inos(pre[i]): forced[i]=True
            elif op[0]=='syncfs':
                for i in range(j): forced[i]=True
        free=[i for i in range(t) if not forced[i] and pre[i][0] in('creat','write','rename','unlink')]
        opts=[(WR if pre[i][0]=='write' else (0,1)) for i in free]
        acks=tuple(o[1] for o in pre if o[0]=='ack')
        for ch in itertools.product(*opts):
            sel=dict(zip(free,ch))
            dirs={d:dict(e) for d,e in init['dirs'].items()}; data=dict(init['data'])
            for i,op in enumerate(pre):
                c=sel.get(i,'full' if op[0]=='write' else 1)
                if op[0]=='creat':
                    dirs.setdefault(op[3],{}); data.setdefault(op[3],'EMPTY')
                    if c: dirs.setdefault(op[1],{})[op[2]]=op[3]
                elif op[0]=='write':
                    data[op[1]]={'none':'EMPTY','zeros':'ZEROS','garbage':'GARBAGE','full':op[2]}[c]
                elif op[0]=='rename' and c:
                    if dirs.get(op[1],{}).get(op[2])==op[5]: del dirs[op[1]][op[2]]
                    dirs.setdefault(op[3],{})[op[4]]=op[5]
                elif op[0]=='unlink' and c:
                    dirs.get(op[1],{}).pop(op[2],None)
            key=(repr(sorted((d,sorted(e.items())) for d,e in dirs.items())),repr(sorted(data.items(),key=str)),acks)
            if key in seen: continue
            seen.add(key); yield dirs,data,acks,(t,sel)
