-- Every mammogram that arrives goes on to the node; what the node sends back does not.
function OnStoredInstance(instanceId, tags, metadata, origin)
   if tags["Modality"] == "MG" and origin["RemoteAet"] ~= "GLAMNODE" then
      SendToModality(instanceId, "glam-node")
   end
end
